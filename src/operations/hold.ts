import { hostname, userInfo } from 'node:os';
import { failureOf, type TidemarkError, usageError } from '../base/errors.ts';

export { holdText, standing } from '../repository/guards/holds.ts';

import { type Hold, placeHold, readHolds, releaseHold } from '../repository/guards/holds.ts';
import { snapshotOf } from '../repository/manifest.ts';
import type { Repository } from '../repository/repository.ts';
import type { Strategy } from '../strategy/spec.ts';
import { openAll } from './open/open.ts';
import { meantAnywhere } from './open/snapshots.ts';

/** A hold as commands print it: null where its object can't be read, and then it holds. */
export type ShownHold = Hold & { repository: string };

/** What `tidemark hold --json` and `tidemark release --json` print. */
export interface HoldResult {
  snapshot: string;
  /** Placed, or released. */
  holds: ShownHold[];
  /** Repositories in which it could not be done. */
  failures: { repository: string; error: TidemarkError }[];
}

export interface HoldRequest {
  strategy: Strategy;
  /** Start or end of a snapshot's id. */
  given: string;
  reason: string;
  /** ISO 8601; null: until it is released. */
  until: string | null;
  signal: AbortSignal;
}

/** Holds a snapshot in every repository that has it. One that fails doesn't stop the others. */
export async function hold(request: HoldRequest): Promise<HoldResult> {
  const { strategy, given, until, signal } = request;
  const reason = request.reason.trim();
  if (reason === '') {
    throw usageError('REASON_NEEDED', 'a hold needs a reason', "say why: --reason 'audit of 2026, ask Ann'");
  }
  const places = await openAll(strategy);
  const named = await Promise.all(
    places.opened.map(async place => ({ ...place, names: await place.repository.snapshotNames() })),
  );
  const snapshot = meantAnywhere(
    named.flatMap(place => place.names),
    given,
    places,
  );
  const text = { reason, until, by: whoAmI() };
  const result: HoldResult = { snapshot, holds: [], failures: [...places.failures] };
  for (const { name, repository, names } of named) {
    if (!names.some(each => snapshotOf(each) === snapshot)) continue;
    signal.throwIfAborted();
    try {
      result.holds.push({ repository: name, ...(await placeHold(repository, snapshot, text)) });
    } catch (error) {
      result.failures.push({ repository: name, error: failureOf(error) });
    }
  }
  return concluded(result);
}

export interface ReleaseRequest {
  strategy: Strategy;
  /** Start or end of a snapshot's id. */
  given: string;
  /** Start or end of a hold's id; null: all of the snapshot's. */
  hold: string | null;
  signal: AbortSignal;
}

/** Releases holds of a snapshot in every repository, also where the snapshot is not there any more. */
export async function release(request: ReleaseRequest): Promise<HoldResult> {
  const { strategy, given, signal } = request;
  const places = await openAll(strategy);
  const held = await Promise.all(
    places.opened.map(async place => {
      const { storage } = place.repository;
      return { ...place, holds: await readHolds(place.repository, await storage.now()) };
    }),
  );
  const known = await Promise.all(places.opened.map(({ repository }) => repository.snapshotNames()));
  const snapshot = meantAnywhere(
    [...held.flatMap(({ holds }) => [...holds.keys()]), ...known.flat()],
    given,
    places,
  );
  const chosen = held.flatMap(({ name, repository, holds }) =>
    (holds.get(snapshot) ?? [])
      .filter(({ id }) => request.hold === null || isMeant(id, request.hold))
      .map(each => ({ name, repository, hold: each })),
  );
  if (chosen.length === 0 && places.failures.length === 0) throw nothingHeld(snapshot, request.hold);
  const result: HoldResult = { snapshot, holds: [], failures: [...places.failures] };
  for (const { name, repository, hold: each } of chosen) {
    signal.throwIfAborted();
    try {
      await releaseHold(repository, snapshot, each.id);
      result.holds.push({ repository: name, ...each });
    } catch (error) {
      result.failures.push({ repository: name, error: failureOf(error) });
    }
  }
  return concluded(result);
}

/** The holds of a snapshot in these repositories; what has expired is told by this machine's clock, so that nothing is written. */
export async function holdsOf(
  places: Iterable<{ name: string; repository: Repository }>,
  snapshot: string,
): Promise<ShownHold[]> {
  const all: ShownHold[] = [];
  for (const { name, repository } of places) {
    const holds = await readHolds(repository, new Date(), snapshot);
    for (const each of holds.get(snapshot) ?? []) all.push({ repository: name, ...each });
  }
  return all;
}

function isMeant(id: string, given: string): boolean {
  return id.startsWith(given) || id.endsWith(`-${given}`);
}

function nothingHeld(snapshot: string, id: string | null): TidemarkError {
  return usageError(
    'HOLD_UNKNOWN',
    id === null ? `snapshot ${snapshot} is not held` : `snapshot ${snapshot} has no hold ${id}`,
    `'tidemark show ${snapshot}' shows its holds`,
  );
}

/** Where nothing was done, the first failure is the command's. */
function concluded(result: HoldResult): HoldResult {
  if (result.holds.length === 0 && result.failures[0]) throw result.failures[0].error;
  return result;
}

/** Who and where, for whoever asks later. */
function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}@${hostname()}`; // one without a name, as in containers
  }
}
