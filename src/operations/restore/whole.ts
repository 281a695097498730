import type { Selected } from '../../postgres/archive/select.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/settings.ts';
import { databaseStatements } from '../../restore/database/databaseEntries.ts';
import { restoreRoles } from '../../restore/database/roles.ts';
import { requireReadableStrings } from '../../restore/profile.ts';
import type { RestoredTable, RestoreRequest } from './request.ts';
import { readProfile, requireRoles } from './roles.ts';
import { runRestore } from './run.ts';

/** Refuses, before anything is removed for it, what the target's server could not take. */
export async function requireRestorable(
  request: RestoreRequest,
  selected: Selected,
  into: ConnectionSettings,
): Promise<void> {
  const session = await Session.open(into, 'tidemark restore');
  try {
    const profile = await readProfile(session);
    requireReadableStrings(request.snapshot.archive, profile);
    if (!request.roles) requireRoles(request, selected.entries, profile);
  } finally {
    await session.close();
  }
}

/** Fills an empty database: roles if asked for, then objects and rows, then what belongs to the database itself. */
export async function restoreWhole(
  request: RestoreRequest,
  selected: Selected,
  into: ConnectionSettings,
): Promise<RestoredTable[]> {
  const { snapshot, reporter, signal, storage } = request;
  const { manifest, archive, repository } = snapshot;
  const session = await Session.open(into, 'tidemark restore');
  try {
    if (request.roles) {
      const { created, notes } = await restoreRoles(session, snapshot.globals);
      if (created.length > 0) reporter.note(`roles created: ${created.join(', ')}`);
      for (const note of notes) reporter.note(note);
    }
    const profile = await readProfile(session);
    requireReadableStrings(archive, profile);
    requireRoles(request, selected.entries, profile);
    const tables = await runRestore({
      archive,
      entries: selected.entries,
      parts: snapshot.parts,
      settings: into,
      profile,
      options: { owner: request.owner, acl: request.privileges },
      jobs: request.jobs,
      worker: {
        storage,
        keys: repository.keys.ring,
        packs: { sessions: manifest.sessions, epochs: manifest.epochs, packs: manifest.packs },
      },
      reporter,
      signal,
    });
    if (request.tables.length === 0 && request.only !== 'data') await databaseProperties(request, session);
    return tables;
  } finally {
    await session.close();
  }
}

/** Settings, comment and privileges of the database itself; what the target refuses is noted. */
async function databaseProperties(request: RestoreRequest, session: Session): Promise<void> {
  const { archive } = request.snapshot;
  for (const { entry, sql } of databaseStatements(archive, session.settings.database)) {
    if (!request.privileges && entry.desc === 'ACL') continue;
    try {
      await session.run(Buffer.from(sql, archive.text));
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      request.reporter.note(`the server refused ${sql.slice(0, 100)}: ${error.message}`);
    }
  }
}
