import { lockedUntil } from '../../repository/guards/forgetting.ts';
import type { Repository } from '../../repository/repository.ts';
import type { RetainedGroup } from './retain.ts';

/** `locked until 2027-01-31 12:00`. */
export function lockText(until: Date): string {
  return `locked until ${until.toISOString().slice(0, 16).replace('T', ' ')}`;
}

/** What would go and can't, since an object lock keeps it, stays; that is its reason then. */
export async function keepLocked(repository: Repository, groups: RetainedGroup[]): Promise<RetainedGroup[]> {
  if (!repository.storage.locks) return groups;
  for (const snapshot of groups.flatMap(group => group.snapshots)) {
    if (snapshot.keep) continue;
    const until = await lockedUntil(repository, snapshot.name);
    if (!until) continue;
    snapshot.keep = true;
    snapshot.reasons = [lockText(until)];
  }
  return groups;
}
