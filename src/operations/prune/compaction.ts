import type { TidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { compact } from '../../repository/collect/compact.ts';
import { type CompactionPlan, planCompaction } from '../../repository/collect/compactionPlan.ts';
import type { Holdings } from '../../repository/collect/contents.ts';
import type { Lease } from '../../repository/guards/lease.ts';
import type { Repository } from '../../repository/repository.ts';

/** What `prune` says of packs that are needed only in part. Sizes in bytes. */
export interface PrunedPacks {
  /** Emptied packs; they come free after the grace. */
  packs: number;
  bytes: number;
  /** What was written of them anew, with the chunk lists that name it; before it is done, at the most. */
  rewrittenBytes: number;
  /** Snapshots that got a revision, with the new places. */
  snapshots: number;
  /** Packs that are dead enough, but are left: more would be written than freed, or they are frozen, or locked. */
  left: { notWorth: number; frozen: number; locked: number };
  /** What can't be read, and is left for that. */
  faults: TidemarkError[];
}

export const NO_PACKS: PrunedPacks = {
  ...{ packs: 0, bytes: 0, rewrittenBytes: 0, snapshots: 0 },
  ...{ left: { notWorth: 0, frozen: 0, locked: 0 }, faults: [] },
};

/** What would be done. */
export function plannedPacks(plans: readonly CompactionPlan[]): PrunedPacks {
  const worth = plans.filter(plan => plan.pays);
  const sum = (of: (plan: CompactionPlan) => number, from = worth) =>
    from.reduce((total, plan) => total + of(plan), 0);
  return {
    packs: sum(plan => plan.packs.length),
    bytes: sum(plan => plan.packs.bytes),
    rewrittenBytes: sum(plan => plan.liveBytes + plan.listBytes),
    snapshots: sum(plan => plan.snapshots.length),
    left: {
      notWorth: plans.reduce((total, plan) => total + (plan.pays ? 0 : plan.packs.length), 0),
      frozen: plans.reduce((total, plan) => total + plan.frozen, 0),
      locked: plans.reduce((total, plan) => total + plan.locked, 0),
    },
    faults: [],
  };
}

/** Empties packs of which more than `maxDead` (0 to 1) is dead, where it pays. For whoever has the right to prune. */
export async function emptyPacks(
  repository: Repository,
  holdings: Holdings,
  maxDead: number,
  { lease, reporter, signal }: { lease: Lease; reporter: Reporter; signal: AbortSignal },
): Promise<PrunedPacks> {
  const plans = await planCompaction(repository, holdings, { maxDead });
  const done = { ...plannedPacks(plans), packs: 0, bytes: 0, rewrittenBytes: 0, snapshots: 0 };
  for (const plan of plans) {
    if (!plan.pays) continue;
    reporter.begin(`compacting ${plan.database}`, plan.packs.bytes);
    const options = {
      rules: { maxDead },
      lease,
      signal,
      progress: (bytes: number) => reporter.advance(bytes),
    };
    const { packs, bytes, writtenBytes, snapshots, faults } = await compact(repository, plan, options);
    reporter.end();
    done.packs += packs;
    done.bytes += bytes;
    done.rewrittenBytes += writtenBytes;
    done.snapshots += snapshots;
    done.left.notWorth += plan.packs.length - packs;
    done.faults = [...done.faults, ...faults];
  }
  return done;
}
