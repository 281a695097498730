import { asTidemarkError, failureOf, TidemarkError, usageError } from '../../base/errors.ts';
import { shellCommand } from '../../base/shell.ts';
import { snapshotOf } from '../../repository/manifest.ts';
import { datedAhead, newestFirst } from '../../repository/newest.ts';
import { folderOf } from '../../storage/kinds.ts';
import type { RepositorySpec, Strategy } from '../../strategy/spec.ts';
import {
  databaseOf,
  isFrozen,
  type OpenedRepositories,
  type OpenPlace,
  openAll,
  repositoryOf,
} from './open.ts';
import { type OpenSnapshot, openSnapshot } from './openSnapshot.ts';
import { Reading } from './reading.ts';
import { type PassedOver, partOf, passedOverText } from './wholeness.ts';

/** Finding snapshots over all repositories of a strategy, of which some may be out of reach. */

/** A repository, or one snapshot in it, that can't be read. */
export interface RepositoryFailure {
  repository: string;
  /** Null where nothing there can be read. */
  snapshot: string | null;
  error: TidemarkError;
}

export interface OpenPlaces {
  /** Nearest first: folders, then the others, last what has to be thawed; else as the strategy has them. */
  places: OpenPlace[];
  failures: RepositoryFailure[];
}

/** Opens the repositories of a strategy that can be opened. Where none can, or the only one wanted can't, that is an error. */
export async function openPlaces(strategy: Strategy, only?: string): Promise<OpenPlaces> {
  const names = only === undefined ? [...strategy.repositories.keys()] : [repositoryOf(strategy, only).name];
  const far = (name: string) => distance(repositoryOf(strategy, name));
  const all = await openAll(
    strategy,
    names.sort((a, b) => far(a) - far(b)),
  );
  const places = all.opened;
  const failures = all.failures.map((each): RepositoryFailure => ({ ...each, snapshot: null }));
  if (places.length === 0 && failures.length > 0) throw allFailed('no repository can be read', failures);
  return { places, failures };
}

/** Folders are near, what has to be thawed is farthest. */
function distance(spec: RepositorySpec): number {
  if (isFrozen(spec, spec.storageClass)) return 2;
  return folderOf(spec.storage) === null ? 1 : 0;
}

/** The one failure there is, or all of them in one error. */
export function allFailed(
  what: string,
  failures: readonly Pick<RepositoryFailure, 'repository' | 'error'>[],
): TidemarkError {
  const { error } = failures[0]!;
  if (failures.length === 1) return error;
  const reasons = failures.map(each => `${each.repository}: ${each.error.message} [${each.error.code}]`);
  const hints = new Set(failures.map(each => each.error.hint));
  return new TidemarkError(error.code, `${what}: ${reasons.join('; ')}`, [...hints].join('\n'), {
    kind: error.kind,
    cause: error,
  });
}

/** A snapshot, and where it is. */
export interface Located {
  snapshot: string;
  /** At least one, nearest first; `name` is that of the manifest there. */
  places: { place: OpenPlace; name: string }[];
  /** Null where the snapshot itself was named; else the newer ones of the database that were not meant. */
  passedOver: PassedOver | null;
}

export interface LocateOptions {
  /** Only there. */
  repository?: string;
  /** Told of what could not be looked at. */
  note(line: string): void;
}

/** Why the snapshot was taken that was, where only its database was named and others are newer; else null. */
export function whyChosen({ snapshot, passedOver }: Located): string | null {
  if (passedOver === null || passedOver.length === 0) return null;
  return `${snapshot} is the newest whole snapshot; newer ones are passed over: ${passedOverText(passedOver)}`;
}

/** @param given a snapshot's id, the start or the end of one, or the name of a database: then its newest whole snapshot. */
async function locate(strategy: Strategy, given: string, options: LocateOptions): Promise<Located> {
  const { places, failures } = await openPlaces(strategy, options.repository);
  const isDatabase = strategy.databases.has(given);
  const newer = isDatabase ? `; it may have a newer snapshot of ${given}` : '';
  for (const { repository, error } of failures)
    options.note(`warning: repository ${repository} can't be read: ${error.message} [${error.code}]${newer}`);
  const listed = new Map<OpenPlace, string[]>();
  for (const place of places) listed.set(place, await place.repository.snapshotNames());
  const all = [...listed].flatMap(([place, names]) => names.map(name => ({ place, name })));
  const names = all.map(each => each.name);
  const { snapshot, passedOver } = isDatabase
    ? await latestOf(strategy, listed, given)
    : { snapshot: snapshotMeant(names, given, strategy.databases.keys()), passedOver: null };
  return { snapshot, places: all.filter(each => snapshotOf(each.name) === snapshot), passedOver };
}

/**
 * The newest whole one anywhere. One that can be read nowhere might be newer: then somebody has to say which one they want.
 */
async function latestOf(
  strategy: Strategy,
  listed: ReadonlyMap<OpenPlace, string[]>,
  database: string,
): Promise<{ snapshot: string; passedOver: PassedOver }> {
  databaseOf(strategy, database);
  const read = new Set<string>();
  const unread = new Map<string, TidemarkError>();
  const parts = new Map<string, string>();
  let newest: string | undefined;
  for (const [{ repository }, names] of listed) {
    const damaged = (name: string, error: TidemarkError) => void unread.set(snapshotOf(name), error);
    const ahead = await datedAhead(repository, names);
    for await (const { snapshot, database: of } of repository.read(ahead, { damaged: () => {} }))
      if (of === database) parts.set(snapshot, 'dated in the future');
    const dated = ahead.length === 0 ? names : names.filter(name => !ahead.includes(name));
    for await (const manifest of newestFirst(repository, { names: dated, damaged })) {
      const { snapshot } = manifest;
      read.add(snapshot);
      if (manifest.database !== database) continue;
      const part = partOf(manifest);
      if (part !== null) {
        parts.set(snapshot, part);
        continue;
      }
      if (newest === undefined || snapshot > newest) newest = snapshot;
      break;
    }
  }
  for (const [snapshot, error] of unread)
    if (snapshot > (newest ?? '') && !read.has(snapshot)) throw maybeNewer(snapshot, error, database);
  const passedOver = [...parts]
    .map(([snapshot, part]) => ({ snapshot, part }))
    .filter(({ snapshot }) => snapshot > (newest ?? ''))
    .sort((a, b) => (a.snapshot < b.snapshot ? 1 : -1));
  if (newest === undefined) throw noneWhole(database, passedOver);
  return { snapshot: newest, passedOver };
}

/** There is nothing that "the latest" could mean. */
export function noneWhole(database: string, passedOver: PassedOver): TidemarkError {
  const take = `take one: ${shellCommand(['tidemark', 'backup'], [database])}`;
  if (passedOver.length === 0) return usageError('NO_SNAPSHOTS', `there is no snapshot of ${database}`, take);
  return usageError(
    'NO_WHOLE_SNAPSHOT',
    `there is no whole snapshot of ${database}, only ${passedOverText(passedOver)}`,
    `${take}; or name the one that you mean by its id`,
  );
}

function maybeNewer(snapshot: string, error: TidemarkError, database: string): TidemarkError {
  const { code, message, hint, kind } = error;
  const more = `${snapshot} may be the latest of ${database}; to take an older one, give its id`;
  return new TidemarkError(code, message, `${hint}\n${more}`, { kind, cause: error });
}

/** A snapshot opened in one of the places that have it. */
export interface Found {
  located: Located;
  place: OpenPlace;
  opened: OpenSnapshot;
}

/** The snapshot opened in the first place where what it says of itself can be read; where only its roles can't, that is noted. */
async function openLocated(
  located: Located,
  note: (line: string) => void,
  before: (place: OpenPlace) => Promise<Reading | undefined>,
): Promise<Found & { reading: Reading | undefined }> {
  const { snapshot, places } = located;
  const failures: RepositoryFailure[] = [];
  for (const { place, name } of places) {
    const reading = await before(place);
    try {
      return { located, place, opened: await openSnapshot(place.repository, name), reading };
    } catch (error) {
      await reading?.end();
      const found = failureOf(error);
      failures.push({ repository: place.name, snapshot, error: found });
      if (places.length > failures.length)
        note(`warning: ${snapshot} can't be read in ${place.name}: ${found.message} [${found.code}]`);
    }
  }
  for (const { place, name } of places) {
    const reading = await before(place);
    try {
      const opened = await openSnapshot(place.repository, name, { withoutRoles: true });
      if (opened.rolesFault)
        note(
          `warning: the roles of ${snapshot} are lost: ${opened.rolesFault.message} [${opened.rolesFault.code}]`,
        );
      return { located, place, opened, reading };
    } catch (error) {
      await reading?.end();
      failureOf(error);
    }
  }
  throw allFailed(`snapshot ${snapshot} can't be read anywhere`, failures);
}

/** What is given, found and opened, for a short look: nothing keeps what it needs. Why it was chosen is noted. */
export async function openGiven(strategy: Strategy, given: string, options: LocateOptions): Promise<Found> {
  const located = await locate(strategy, given, options);
  const why = whyChosen(located);
  if (why) options.note(why);
  return openLocated(located, options.note, async () => undefined);
}

/**
 * Reads what is given, found and opened; while `work` lasts, nothing that it needs is freed. Where `work` meets damage, the
 * error says in which other repositories the snapshot is.
 */
export async function readGiven<T>(
  strategy: Strategy,
  given: string,
  options: LocateOptions,
  work: (found: Found) => Promise<T>,
): Promise<T> {
  const { note } = options;
  const begin = ({ repository }: OpenPlace) => Reading.begin(repository, note);
  const { reading, ...found } = await openLocated(await locate(strategy, given, options), note, begin);
  try {
    return await work(found);
  } catch (error) {
    throw elsewhere(error, found);
  } finally {
    await reading?.end();
  }
}

/** What to do about a snapshot that turned out to be damaged in one place, where it is in others too. */
function elsewhere(error: unknown, { located: { places }, place: tried }: Found): unknown {
  const others = [...new Set(places.map(each => each.place.name))].filter(name => name !== tried.name);
  const hurt = error instanceof TidemarkError && (error.kind === 'fault' || error.code === 'SNAPSHOT_FROZEN');
  if (others.length === 0 || !(hurt || tried.failed(error))) return error;
  const { code, message, hint, kind } = asTidemarkError(error);
  const more = `the snapshot is in ${others.join(' and ')} too: --repository ${others[0]}`;
  return new TidemarkError(code, message, `${hint}\n${more}`, { kind, cause: error });
}

/** Fewer letters would mean any snapshot of a decade. */
const PREFIX_LENGTH_MIN = 4;

/**
 * The id of the one snapshot, of those whose manifests have these names, that starts or ends like this.
 *
 * @param databases that could have been given too.
 */
export function snapshotMeant(names: Iterable<string>, given: string, databases?: Iterable<string>): string {
  const found = new Set<string>();
  if (given.length < PREFIX_LENGTH_MIN) {
    throw usageError(
      'SNAPSHOT_SHORT',
      `${JSON.stringify(given)} is too short to name a snapshot`,
      `give the id, or at least ${PREFIX_LENGTH_MIN} letters of its start, or all behind its last dash; 'tidemark list' shows the snapshots`,
    );
  }
  for (const name of names) {
    const id = snapshotOf(name);
    if (name.startsWith(given) || id.endsWith(`-${given}`)) found.add(id);
  }
  if (found.size === 1) return [...found][0]!;
  throw usageError(
    found.size === 0 ? 'SNAPSHOT_UNKNOWN' : 'SNAPSHOT_AMBIGUOUS',
    found.size === 0
      ? `no repository of the strategy has a snapshot ${given}${databases ? ', nor is it a database' : ''}`
      : `${given} may be ${found.size} snapshots: ${[...found].slice(0, 5).join(', ')}`,
    `'tidemark list' shows the snapshots${databases ? `; databases of the strategy: ${[...databases].join(', ') || 'none'}` : ''}`,
  );
}

/** Where a repository could not be looked into, that is more to the point than a snapshot that was not found. */
export function meantAnywhere(
  names: Iterable<string>,
  given: string,
  { failures }: OpenedRepositories,
): string {
  try {
    return snapshotMeant(names, given);
  } catch (error) {
    throw failures[0]?.error ?? error;
  }
}
