import { type TidemarkError, usageError } from '../base/errors.ts';
import { type Manifest, manifestName, snapshotOf } from '../repository/manifest.ts';
import { hasAllPacks, newestFirst } from '../repository/newest.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { openRepository } from './open.ts';
import { forgetOnce } from './prune.ts';
import { snapshotMeant } from './snapshots.ts';

export interface ForgetRequest {
  strategy: Strategy;
  /** Starts or ends of snapshots' ids. */
  given: string[];
  /** Also where no good snapshot of the database would be left in a repository. */
  evenLast: boolean;
  signal: AbortSignal;
  /** Shown before anything is forgotten; false ends it with nothing done. */
  confirm(planned: ForgottenSnapshot[]): Promise<boolean>;
}

/** `database` and `started` are null where the manifest can't be read. */
export interface ForgottenSnapshot {
  snapshot: string;
  repository: string;
  database: string | null;
  started: string | null;
}

/** What `tidemark forget --json` prints. */
export interface ForgetResult {
  forgotten: ForgottenSnapshot[];
}

interface Place {
  name: string;
  repository: Repository;
  names: string[];
  /** Of the snapshots that are to be forgotten, by name; null where the manifest can't be read. */
  manifests: Map<string, Manifest | null>;
}

/** Ends the existence of snapshots in every repository that holds them. */
export async function forget(request: ForgetRequest): Promise<ForgetResult> {
  const { strategy, given, evenLast, signal } = request;
  const places = await Promise.all([...strategy.repositories.keys()].map(name => open(strategy, name)));
  const known = places.flatMap(place => place.names);
  const ids = new Set(given.map(each => snapshotMeant(known, each)));
  for (const place of places) await look(place, ids);
  if (!evenLast) for (const place of places) await refuseLast(place);
  const planned = places.flatMap(plannedIn);
  const forgotten = planned.map(each => each.forgotten);
  if (!(await request.confirm(forgotten))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the forgetting was not confirmed',
      'nothing was done; confirm it, or say --yes',
    );
  }
  for (const { repository, name } of planned) {
    signal.throwIfAborted();
    await forgetOnce(repository, name);
  }
  return { forgotten };
}

function plannedIn({ name: place, repository, manifests }: Place) {
  return [...manifests].map(([name, manifest]) => {
    const { database = null, started = null } = manifest ?? {};
    const forgotten = { snapshot: snapshotOf(name), repository: place, database, started };
    return { repository, name, forgotten };
  });
}

async function open(strategy: Strategy, name: string): Promise<Place> {
  const repository = await openRepository(strategy, name);
  return { name, repository, names: await repository.snapshotNames(), manifests: new Map() };
}

/** A manifest that is damaged is no obstacle: forgetting is what one does with such a snapshot. */
async function look({ repository, names, manifests }: Place, ids: ReadonlySet<string>): Promise<void> {
  const wanted = names.filter(name => ids.has(snapshotOf(name)));
  const damaged = (name: string, error: TidemarkError) => {
    if (error.kind !== 'fault') throw error;
    manifests.set(name, null);
  };
  for await (const manifest of repository.read(wanted, { damaged }))
    manifests.set(manifestName(manifest), manifest);
}

/** The last good snapshot of a database stays. One that is not good itself may go. */
async function refuseLast({ name, repository, names, manifests }: Place): Promise<void> {
  const going = [...manifests.values()].filter(manifest => manifest !== null);
  const alone = new Set(going.map(manifest => manifest.database));
  const others = newestFirst(repository, { names: names.filter(each => !manifests.has(each)) });
  if (alone.size > 0) {
    for await (const manifest of others) {
      if (alone.has(manifest.database) && (await hasAllPacks(repository, manifest)))
        alone.delete(manifest.database);
      if (alone.size === 0) return;
    }
  }
  for (const manifest of going.reverse()) {
    if (!alone.has(manifest.database) || !(await hasAllPacks(repository, manifest))) continue;
    const { snapshot, database } = manifest;
    throw usageError(
      'LAST_SNAPSHOT',
      `${snapshot} is the last good snapshot of ${database} in ${name}`,
      `take another first: tidemark backup ${database}; or say --even-last`,
    );
  }
}
