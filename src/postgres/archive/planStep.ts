import type { ArchiveEntry } from './entry.ts';

/**
 * Whether the rows of this entry go in through the partitioned table above it, so may land in any partition: then the
 * partition must not be truncated first (pg_dump's --load-via-partition-root, always on for hash over enums).
 */
export function loadsViaPartitionRoot(entry: ArchiveEntry): boolean {
  return entry.defn?.startsWith('-- load via partition root ') ?? false;
}

export interface PlanStep {
  entry: ArchiveEntry;
  /** dumpIds of the plan's `data` and `postData` that must be done before; what `preData` holds is done anyway. */
  needs: Set<number>;
  /** dumpIds of tables (by their TABLE DATA, where they have one) it locks against everything else. */
  locks: Set<number>;
  /** dumpIds it uses in any way: a step whose `locks` holds one of them can't run beside this one. */
  uses: Set<number>;
}
