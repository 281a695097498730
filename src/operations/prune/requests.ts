import type { CollectionPlan } from '../../repository/collect/collectionPlan.ts';
import type { CompactionPlan } from '../../repository/collect/compactionPlan.ts';
import { RECORD_PACKS_MAX } from '../../repository/collect/condemned.ts';
import type { Holdings } from '../../repository/collect/contents.ts';
import { PACK_BYTES } from '../../repository/write/packWriter.ts';

/** Requests by what providers charge for them. A long object may take several. */
export interface Requests {
  /** Writes and listings. */
  puts: number;
  /** Reads, and questions about an object or the clock. */
  gets: number;
  /** Mostly free. */
  deletes: number;
}

export const NO_REQUESTS: Requests = { puts: 0, gets: 0, deletes: 0 };

const LISTED_AT_ONCE = 1000;
/** Of a chunk list of a part. */
const LIST_BYTES = 100_000;
/** Listings of one look at a repository, beside those that grow: leases, condemned, compactions, holds … */
const LISTINGS = 7;
/** Of holding a lease: two looks at the clock, a write, a removal. */
const HOLD: Requests = { puts: 1, gets: 2, deletes: 1 };

/** What carrying out the plans will take, about; what is looked at before and changes nothing is over then. */
export function requestsOf(
  holdings: Holdings,
  forgetting: number,
  plan: CollectionPlan,
  compactions: readonly CompactionPlan[],
): Requests {
  const worth = compactions.filter(each => each.pays);
  const looks = 1 + (forgetting > 0 ? 1 : 0) + (worth.length > 0 ? 1 : 0);
  return [
    times(looks, { puts: listings(holdings), gets: holdings.condemned.length + 1, deletes: 0 }),
    times(forgetting, together([{ puts: 1, gets: 1, deletes: 1 }, HOLD])),
    { puts: Math.ceil(plan.condemn.length / RECORD_PACKS_MAX), gets: 0, deletes: plan.free.length },
    { puts: 0, gets: 0, deletes: plan.manifests.length + plan.records.length + plan.leases.length },
    ...worth.map(requestsOfCompaction),
    times(6, HOLD),
  ].reduce((sum, each) => together([sum, each]));
}

function requestsOfCompaction({ snapshots, packs, liveBytes, listBytes }: CompactionPlan): Requests {
  const lists = Math.ceil(listBytes / LIST_BYTES);
  return together([
    // Each manifest to plan, to look what is in use, and to revise; each list twice; each pack's directory and chunks.
    { puts: 0, gets: 3 * snapshots.length + 2 * lists + 2 * packs.length, deletes: 0 },
    { puts: Math.ceil((liveBytes + listBytes) / PACK_BYTES) + snapshots.length + 4, gets: 4, deletes: 4 },
    times(Math.ceil(snapshots.length / 8) * 2, HOLD),
  ]);
}

function listings({ snapshots, revisions, forgotten }: Holdings): number {
  const pages = (objects: number) => Math.max(1, Math.ceil(objects / LISTED_AT_ONCE));
  return LISTINGS + pages(snapshots.size) + pages(revisions.size) + 2 * pages(forgotten.length);
}

function times(count: number, { puts, gets, deletes }: Requests): Requests {
  return { puts: count * puts, gets: count * gets, deletes: count * deletes };
}

function together(all: readonly Requests[]): Requests {
  const sum = (of: (each: Requests) => number) => all.reduce((total, each) => total + of(each), 0);
  return { puts: sum(each => each.puts), gets: sum(each => each.gets), deletes: sum(each => each.deletes) };
}
