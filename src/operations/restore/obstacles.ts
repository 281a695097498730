/** What stands in the way of a restore, as far as it can be known before anything is done. */
import { TidemarkError, usageError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteLiteral, quoteName, Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import { detect, MARKS } from '../../providers/index.ts';
import { pgDumpFor } from '../../restore/check/readDefinitions.ts';
import { restoreUnchecked, unread } from '../../restore/check/result.ts';
import {
  type DatabaseDefinition,
  databaseDefinition,
  settingName,
} from '../../restore/database/definition.ts';
import { openMaintenance } from '../../restore/database/maintenance.ts';
import { requireReadableStrings, type TargetProfile } from '../../restore/profile.ts';
import {
  type Leaf,
  leftToSuperuser,
  type Powers,
  statementToHandOver,
  superuserNeeded,
  Tried,
} from '../../restore/superuser.ts';
import type { OpenSnapshot } from '../open/openSnapshot.ts';
import { DEFINITIONS } from './check.ts';
import type { RestoreRequest } from './request.ts';
import { readProfile, requireOwners, requireRoles } from './roles.ts';
import { ownEntries } from './whole.ts';

/** A selection without what this role can't make, each with its reason; and what else is announced. */
export interface Foreseen extends Selected {
  announced: string[];
  /** What the server may refuse without stopping the restore. */
  tried: Tried;
}

/** Refuses what the target could not take; leaves out, and says so, what a superuser has to make afterwards. */
export async function foresee(request: RestoreRequest, selected: Selected): Promise<Foreseen> {
  const { target, snapshot } = request;
  const session =
    target.kind === 'to'
      ? await Session.open(target.settings, 'tidemark restore')
      : await openMaintenance(target.kind === 'new' ? target.server : target.settings);
  try {
    const profile = await readProfile(session, snapshot.archive);
    requireReadableStrings(snapshot.archive, profile);
    const definition = databaseDefinition(snapshot.archive);
    const kept = await withoutReserved(request, selected, session, profile);
    const entries = [...kept.entries, ...ownEntries(request)];
    if (!request.roles) requireRoles(request, entries, profile);
    await requireOwners(request, entries, session);
    const announced = [
      ...(await requireTablespaces(request, kept.entries, definition, session)),
      ...(await requireCheckable(request, session)),
    ];
    await requireMoneyLocale(snapshot, session);
    return { ...kept, announced, tried: new Tried(kept.tried) };
  } finally {
    await session.close();
  }
}

/**
 * What is restored has to be read back. Where no pg_dump here can do that, nothing takes the place of a database; any other
 * restore is done, and says so before and after.
 */
async function requireCheckable(
  { check, snapshot, target }: RestoreRequest,
  session: Session,
): Promise<string[]> {
  if (check === 'none') return [];
  try {
    await pgDumpFor(snapshot.manifest.source.pgDump, session.serverMajor);
    return [];
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'CLIENT_TOO_OLD') throw error;
    if (target.kind === 'inPlace')
      throw restoreUnchecked(
        `what was to replace ${target.settings.database}`,
        [unread(DEFINITIONS, error)],
        'nothing was done',
      );
    return [`what is restored can't be read back and compared (exit code 3): ${error.message}`];
  }
}

async function withoutReserved(
  request: RestoreRequest,
  selected: Selected,
  session: Session,
  profile: TargetProfile,
): Promise<Selected & { tried: readonly Leaf[] }> {
  const names = selected.entries.filter(entry => entry.desc === 'EXTENSION').map(entry => entry.tag);
  const found = await session.query(sqlFile('extensions_at_hand'), [names]);
  const absent = found.filter(row => row.present !== 't' && row.available !== 't').map(row => row.name!);
  if (absent.length > 0) {
    throw usageError(
      'EXTENSIONS_MISSING',
      `the target server does not have ${absent.length === 1 ? 'the extension' : 'the extensions'} ${absent.join(', ')}`,
      'install what provides them on that server (pg_available_extensions lists what it has), then run this again',
    );
  }
  if (profile.superuser) return { ...selected, tried: [] };
  const extensions = found.filter(row => row.present === 't' || row.creatable === 't').map(row => row.name!);
  const powers: Powers = { superuser: false, memberOf: profile.memberOf, extensions: new Set(extensions) };
  const { leaves, needed } = superuserNeeded(selected.entries, powers);
  // What a provider's own roles may do beyond others is known to its server alone.
  const isProviders = (await providerOf(session)) !== 'selfHosted';
  if (needed.length > 0 && !isProviders) throw superuserMissing(needed, request.snapshot.manifest.snapshot);
  const mayTry = ({ entry: { desc, owner } }: Leaf) =>
    isProviders && ((!request.owner && desc !== 'DEFAULT ACL') || !owner || mayOwn(profile, owner));
  const certain = leaves.filter(leaf => !mayTry(leaf));
  const left = new Set(certain.flatMap(({ entry, about }) => [entry, ...about]));
  return {
    ...selected,
    entries: selected.entries.filter(entry => !left.has(entry)),
    leftOut: [
      ...selected.leftOut,
      ...certain.map(leaf => ({ entry: leaf.entry, reason: leftToSuperuser(leaf) })),
    ],
    tried: leaves.filter(mayTry),
  };
}

/** A role that is made on the way, by --roles, is one that the restoring one may give things to. */
function mayOwn({ roles, memberOf }: TargetProfile, role: string): boolean {
  return memberOf.has(role) || !roles.has(role);
}

function superuserMissing(needed: ArchiveEntry[], snapshot: string) {
  const what = needed.map(entry => `${entry.desc} ${entry.tag}`).join(', ');
  const ahead = needed.every(entry => entry.desc === 'EXTENSION');
  const hint = ahead
    ? `let a superuser run this in a new, empty database, then restore into it with --to:\n${needed.map(entry => statementToHandOver(entry)).join('\n')}`
    : `restore with a superuser's connection; or 'tidemark export ${snapshot} --format plain' writes what psql runs, for a superuser to change and run`;
  return usageError(
    'SUPERUSER_NEEDED',
    `only a superuser can make what others in the snapshot need: ${what}`,
    hint,
  );
}

async function providerOf(session: Session): Promise<string> {
  const { settings, roles, schemas } = MARKS;
  const [row] = await session.query(sqlFile('provider_marks'), [settings, roles, schemas]);
  const marks = {
    settings: JSON.parse(row!.settings!) as string[],
    roles: JSON.parse(row!.roles!) as string[],
    schemas: JSON.parse(row!.schemas!) as string[],
  };
  return detect({ addresses: session.settings.hosts, marks }).id;
}

/** Resolves to what `--no-tablespaces` leaves out. */
async function requireTablespaces(
  { target, tablespaces }: RestoreRequest,
  entries: ArchiveEntry[],
  definition: DatabaseDefinition,
  session: Session,
): Promise<string[]> {
  const named = new Set(entries.map(entry => entry.tablespace).filter(name => name !== null && name !== ''));
  if (target.kind !== 'to' && definition.tablespace !== null) named.add(definition.tablespace);
  const names = [...named].sort();
  if (names.length === 0) return [];
  if (!tablespaces) return [`everything goes into the default tablespace, nothing into ${names.join(', ')}`];
  const found = await session.query(sqlFile('tablespaces_at_hand'), [names]);
  const known = new Set(found.map(row => row.name));
  const missing = names.filter(name => !known.has(name));
  if (missing.length > 0) {
    throw usageError(
      'TABLESPACES_MISSING',
      `the target server lacks ${missing.length === 1 ? 'the tablespace' : 'the tablespaces'} ${missing.join(', ')}`,
      `create ${missing.length === 1 ? 'it' : 'them'} there (CREATE TABLESPACE ${quoteName(missing[0]!)} LOCATION '…'), or give --no-tablespaces`,
    );
  }
  const denied = found.filter(row => row.usable !== 't').map(row => row.name!);
  if (denied.length === 0) return [];
  throw usageError(
    'TABLESPACES_DENIED',
    `the role of the connection may not use ${denied.length === 1 ? 'the tablespace' : 'the tablespaces'} ${denied.join(', ')}`,
    `let it (GRANT CREATE ON TABLESPACE ${quoteName(denied[0]!)} TO the role), or give --no-tablespaces`,
  );
}

/** For tables that go into a database in use, which need less: their rows must be read as they were written. */
export async function foreseeTables({ snapshot, target }: RestoreRequest): Promise<void> {
  if (target.kind === 'new' || monetaryOf(snapshot) === null) return;
  const session = await Session.open(target.settings, 'tidemark restore');
  await requireMoneyLocale(snapshot, session).finally(() => session.close());
}

/** The `lc_monetary` that the snapshot's money was written under, as an assignment; null where it has none, or it is unknown. */
function monetaryOf({ archive, globals }: OpenSnapshot): string | null {
  const hasMoney = archive.entries.some(
    entry => entry.section === 'pre-data' && /\bmoney\b/.test(entry.defn ?? ''),
  );
  if (!hasMoney) return null;
  const captured = globals.settings?.find(({ name }) => name === 'lc_monetary');
  if (captured) return `lc_monetary TO ${quoteLiteral(captured.value)}`;
  const own = databaseDefinition(archive).statements.find(
    ({ kind, assignment }) => kind === 'setting' && settingName(assignment!) === 'lc_monetary',
  );
  return own?.assignment ?? null;
}

/** Another locale may take the same text for another amount. */
async function requireMoneyLocale(snapshot: OpenSnapshot, session: Session): Promise<void> {
  const assignment = monetaryOf(snapshot);
  if (assignment === null) return;
  try {
    await session.run(`SET ${assignment}`);
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    throw usageError(
      'LOCALE_MISSING',
      `the target server lacks the locale of the snapshot's money: ${assignment.replace(/^.* TO /, 'lc_monetary ')}`,
      'install that locale on the server and restart it (on Debian: locale-gen), then run this again',
      error,
    );
  }
}
