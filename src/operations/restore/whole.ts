import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { isDatabaseEntry } from '../../postgres/archive/statements.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import {
  resumeDefaultPrivileges,
  suspendDefaultPrivileges,
} from '../../restore/database/defaultPrivileges.ts';
import { databaseDefinition } from '../../restore/database/definition.ts';
import { ownProperties } from '../../restore/database/differences.ts';
import { commentExtensions } from '../../restore/database/extensionComments.ts';
import {
  applyToDatabase,
  type DatabaseRequest,
  type LoadingSettings,
  loadingSettings,
  requireOpenable,
  takenNow,
} from '../../restore/database/properties.ts';
import { restoreRoles } from '../../restore/database/roles.ts';
import { requireReadableStrings, type TargetProfile } from '../../restore/profile.ts';
import { Tried } from '../../restore/superuser.ts';
import { type RestoredTable, type RestoreRequest, tell } from './request.ts';
import { readProfile, requireOwners, requireRoles } from './roles.ts';
import { runRestore } from './run.ts';

/** Fills an empty database: the database's settings, objects and rows, then its privileges. */
export async function restoreWhole(
  request: RestoreRequest,
  selected: Selected,
  into: ConnectionSettings,
): Promise<RestoredTable[]> {
  const { snapshot, reporter, signal, storage } = request;
  const { manifest, archive, repository } = snapshot;
  const session = await Session.open(into, 'tidemark restore');
  const note = (line: string) => reporter.note(line);
  try {
    if (request.target.kind === 'to') await bringRoles(request, selected, session);
    const profile = await readProfile(session, archive);
    requireReadableStrings(archive, profile);
    requireRoles(request, selected.entries, profile);
    const database = databaseRequest(request, profile);
    if (isWholeDatabase(request)) {
      tell(request, await applyToDatabase(session, database, ['setting', 'roleSetting', 'description']));
      if (request.target.kind === 'to')
        (await ownProperties(session, database.definition, manifest.source)).forEach(note);
    }
    const loading = await settingsAnew(request, into, database);
    loading.notes.forEach(note);
    const defaults = await suspendDefaultPrivileges(session);
    const tables = await runRestore({
      archive,
      entries: selected.entries,
      parts: snapshot.parts,
      settings: into,
      profile,
      options: { owner: request.owner, acl: request.privileges, tablespaces: request.tablespaces },
      session: loading.session,
      snapshot: manifest.snapshot,
      tell: deviations => tell(request, deviations),
      tried: request.tried ?? new Tried([]),
      beforeRefresh: () => beforeRefresh(request, session, database, loading),
      jobs: request.jobs,
      worker: {
        storage,
        keys: repository.keys.ring,
        packs: { sessions: manifest.sessions, epochs: manifest.epochs, packs: manifest.packs },
      },
      reporter,
      signal,
    }).catch(async error => {
      await resumeDefaultPrivileges(session, defaults).catch(() => {});
      throw error;
    });
    if (!profile.superuser) {
      const made = selected.entries.filter(entry => request.tried?.isRefused(entry) !== true);
      const different = await commentExtensions(session, archive, made);
      if (different.length > 0)
        note(`comments that only an extension's owner may change were left out: ${different.join(', ')}`);
    }
    const kept = await resumeDefaultPrivileges(session, defaults);
    if (kept.length > 0)
      note(`default privileges that the database had stay, for what is created later: ${kept.join(', ')}`);
    return tables;
  } finally {
    await session.close();
  }
}

/** Creates the roles that the server lacks, if that is asked for: first of all, since the database may belong to one. */
export async function bringRoles(
  request: RestoreRequest,
  { entries }: Selected,
  session: Session,
): Promise<void> {
  if (!request.roles) return;
  const { created, refused, notes } = await restoreRoles(session, request.snapshot.globals);
  for (const name of created) request.rolesMade?.created.add(name);
  for (const aspect of refused) request.rolesMade?.refused.add(aspect);
  if (created.length > 0) request.reporter.note(`roles created: ${created.join(', ')}`);
  for (const note of notes) request.reporter.note(note);
  await requireOwners(request, [...entries, ...ownEntries(request)], session);
}

/**
 * What would have been in the way until now: how many may connect, as what, and whether the database is a template. The last of a
 * restore, when the database has its name.
 */
export async function openToUse(request: RestoreRequest, settings: ConnectionSettings): Promise<void> {
  const { statements } = databaseDefinition(request.snapshot.archive);
  if (!isWholeDatabase(request) || !statements.some(({ kind }) => kind === 'access')) return;
  const session = await Session.open(settings, 'tidemark restore');
  try {
    const database = databaseRequest(request, await readProfile(session, request.snapshot.archive));
    tell(request, await applyToDatabase(session, database, ['access']));
    tell(request, await requireOpenable(session, database));
  } finally {
    await session.close();
  }
}

function databaseRequest(
  { snapshot: { archive } }: RestoreRequest,
  { roles }: Pick<TargetProfile, 'roles'>,
): DatabaseRequest {
  return { archive, definition: databaseDefinition(archive), roles };
}

/** What of the archive's entries about the database itself names roles that the target must have. */
export function ownEntries(request: RestoreRequest): ArchiveEntry[] {
  if (!isWholeDatabase(request)) return [];
  const kinds = request.target.kind === 'to' ? ['ACL'] : ['ACL', 'DATABASE'];
  return request.snapshot.archive.entries.filter(
    entry => isDatabaseEntry(entry) && kinds.includes(entry.desc),
  );
}

/** Some tables are not the database, nor are rows alone. */
export function isWholeDatabase({ tables, only }: RestoreRequest): boolean {
  return tables.length === 0 && only !== 'data';
}

async function settingsAnew(
  { snapshot: { globals } }: RestoreRequest,
  into: ConnectionSettings,
  database: DatabaseRequest,
): Promise<LoadingSettings> {
  const fresh = await Session.open(into, 'tidemark restore');
  try {
    return await loadingSettings(fresh, database, globals.settings ?? []);
  } finally {
    await fresh.close();
  }
}

/** The database's privileges, which views and event triggers may need; and settings that could not be taken before. */
async function beforeRefresh(
  request: RestoreRequest,
  session: Session,
  database: DatabaseRequest,
  loading: LoadingSettings,
): Promise<string[]> {
  if (isWholeDatabase(request) && request.privileges)
    tell(request, await applyToDatabase(session, database, ['privilege']));
  if (loading.late.length === 0) return loading.refresh;
  const fresh = await Session.open(session.settings, 'tidemark restore');
  try {
    return [...loading.refresh, ...(await takenNow(fresh, database.archive, loading.late))];
  } finally {
    await fresh.close();
  }
}
