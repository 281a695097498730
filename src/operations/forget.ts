import { TidemarkError, usageError } from '../base/errors.ts';
import { packsAreThere, readPacks } from '../repository/holdings.ts';
import { type Manifest, snapshotOf } from '../repository/manifest.ts';
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
  /** By name; null where the manifest can't be read. */
  manifests: Map<string, Manifest | null>;
}

/** Ends the existence of snapshots in every repository that holds them. */
export async function forget(request: ForgetRequest): Promise<ForgetResult> {
  const { strategy, given, evenLast, signal } = request;
  const places = await Promise.all([...strategy.repositories.keys()].map(name => look(strategy, name)));
  const known = places.flatMap(place => [...place.manifests.keys()]);
  const ids = new Set(given.map(each => snapshotMeant(known, each)));
  if (!evenLast) for (const place of places) await refuseLast(place, ids);
  const planned = places.flatMap(place => plannedIn(place, ids));
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

function plannedIn({ name: place, repository, manifests }: Place, ids: ReadonlySet<string>) {
  return [...manifests]
    .filter(([name]) => ids.has(snapshotOf(name)))
    .map(([name, manifest]) => {
      const { database = null, started = null } = manifest ?? {};
      const forgotten = { snapshot: snapshotOf(name), repository: place, database, started };
      return { repository, name, forgotten };
    });
}

/** A manifest that is damaged is no obstacle: forgetting is what one does with such a snapshot. */
async function look(strategy: Strategy, name: string): Promise<Place> {
  const repository = await openRepository(strategy, name);
  const manifests = new Map<string, Manifest | null>();
  for (const each of await repository.snapshotNames()) {
    const manifest = await repository.manifest(each).catch(error => {
      if (error instanceof TidemarkError && error.kind === 'fault') return null;
      throw error;
    });
    manifests.set(each, manifest);
  }
  return { name, repository, manifests };
}

async function refuseLast({ name, repository, manifests }: Place, ids: ReadonlySet<string>): Promise<void> {
  if (![...manifests].some(([each, manifest]) => manifest && ids.has(snapshotOf(each)))) return;
  const packs = await readPacks(repository.storage);
  const good = [...manifests.values()].filter(
    each => each !== null && packsAreThere(packs, each),
  ) as Manifest[];
  const left = new Set(good.filter(each => !ids.has(each.snapshot)).map(each => each.database));
  const last = good.filter(each => ids.has(each.snapshot) && !left.has(each.database)).at(-1);
  if (!last) return;
  throw usageError(
    'LAST_SNAPSHOT',
    `${last.snapshot} is the last good snapshot of ${last.database} in ${name}`,
    `take another first: tidemark backup ${last.database}; or say --even-last`,
  );
}
