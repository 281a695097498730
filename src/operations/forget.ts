import { TidemarkError, usageError } from '../base/errors.ts';
import { packsAreThere, readPacks } from '../repository/holdings.ts';
import type { Manifest } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { openRepository } from './open.ts';
import { forgetOnce } from './prune.ts';

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
  /** Null where the manifest can't be read. */
  manifests: Map<string, Manifest | null>;
}

/** Ends the existence of snapshots in every repository that holds them. */
export async function forget(request: ForgetRequest): Promise<ForgetResult> {
  const { strategy, given, evenLast, signal } = request;
  const places = await Promise.all([...strategy.repositories.keys()].map(name => look(strategy, name)));
  const ids = new Set(given.map(each => resolve(places, each)));
  if (!evenLast) for (const place of places) await refuseLast(place, ids);
  const planned = places.flatMap(({ name, manifests }) =>
    [...ids]
      .filter(id => manifests.has(id))
      .map(id => {
        const manifest = manifests.get(id);
        const { database = null, started = null } = manifest ?? {};
        return { snapshot: id, repository: name, database, started };
      }),
  );
  if (!(await request.confirm(planned))) {
    throw usageError(
      'NOT_CONFIRMED',
      'the forgetting was not confirmed',
      'nothing was done; confirm it, or say --yes',
    );
  }
  for (const { repository, snapshot } of planned) {
    signal.throwIfAborted();
    await forgetOnce(places.find(place => place.name === repository)!.repository, snapshot);
  }
  return { forgotten: planned };
}

/** A manifest that is damaged is no obstacle: forgetting is what one does with such a snapshot. */
async function look(strategy: Strategy, name: string): Promise<Place> {
  const repository = await openRepository(strategy, name);
  const manifests = new Map<string, Manifest | null>();
  for (const id of await repository.snapshotIds()) {
    const manifest = await repository.manifest(id).catch(error => {
      if (error instanceof TidemarkError && error.kind === 'fault') return null;
      throw error;
    });
    manifests.set(id, manifest);
  }
  return { name, repository, manifests };
}

function resolve(places: Place[], given: string): string {
  const known = new Set(places.flatMap(place => [...place.manifests.keys()]));
  const found = [...known].filter(id => id.startsWith(given) || id.endsWith(`-${given}`));
  if (found.length === 1) return found[0]!;
  throw usageError(
    found.length === 0 ? 'SNAPSHOT_UNKNOWN' : 'SNAPSHOT_AMBIGUOUS',
    found.length === 0
      ? `no repository of the strategy has a snapshot ${given}`
      : `${given} may be ${found.length} snapshots: ${found.slice(0, 5).join(', ')}`,
    "'tidemark list' shows the snapshots",
  );
}

async function refuseLast({ name, repository, manifests }: Place, ids: ReadonlySet<string>): Promise<void> {
  if (![...ids].some(id => manifests.get(id))) return;
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
