import { faultError, type TidemarkError } from '../../base/errors.ts';
import type { Strategy } from '../../strategy/spec.ts';

/** A repository without any snapshot of a database, and what is said of it. */
export interface Absent {
  repository: string;
  error: TidemarkError;
}

/**
 * Repositories in which there is nothing of a database to verify, though each plan that stores it in another, which has
 * snapshots of it, stores it there too.
 *
 * @param held by repository: the databases that it has snapshots of.
 */
export function absentCopies(
  { plans }: Strategy,
  databases: Iterable<string>,
  held: ReadonlyMap<string, ReadonlySet<string>>,
): Absent[] {
  const found: Absent[] = [];
  for (const database of databases) {
    const own = [...plans.values()].filter(plan => plan.database === database);
    for (const [repository, there] of held) {
      if (there.has(database)) continue;
      const from = [...held].find(([other, those]) => {
        const storing = own.filter(plan => plan.store.includes(other));
        const alsoHere = storing.length > 0 && storing.every(plan => plan.store.includes(repository));
        return those.has(database) && alsoHere;
      })?.[0];
      if (from === undefined) continue;
      const message = `there is no snapshot of ${database} in ${repository}, where its plans store it`;
      const hint = `bring it what ${from} has: tidemark copy --from ${from} --to ${repository} --database ${database}`;
      found.push({ repository, error: faultError('SNAPSHOTS_ABSENT', message, hint) });
    }
  }
  return found;
}
