import { usageError } from '../../base/errors.ts';
import { readSize } from '../../base/size.ts';
import type { PackJob } from '../../repository/check/check.ts';
import { PlacesBuilder } from '../../repository/check/chunkPlaces.ts';
import type { PackChecks } from '../../repository/packs/packChecks.ts';
import { byTime } from '../../repository/packs/packTimes.ts';
import { readDuration } from '../../strategy/duration.ts';
import type { PackRoster } from './roster.ts';

/** What a verify may take. */
export type Budget = { ms: number } | { bytes: number };

/** Reads `10m` or `50GB`. */
export function parseBudget(text: string): Budget {
  const ms = readDuration(text);
  if (ms !== null && ms > 0) return { ms };
  const bytes = readSize(text);
  if (bytes !== undefined && bytes > 0) return { bytes };
  throw usageError(
    'BUDGET_INVALID',
    `${JSON.stringify(text)} is neither a time nor a size`,
    'write a number and its unit, such as 10m, 2h, 500MB or 50GB',
  );
}

/** What is left of a budget, over several repositories. */
export class Spending {
  readonly #budget: Budget;
  readonly #started = performance.now();
  #bytes = 0;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #bytesMax = Number.POSITIVE_INFINITY;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** From here on an equal share of what is left, with `others` to come. */
  share(others: number): void {
    if ('ms' in this.#budget) {
      const spentMs = performance.now() - this.#started;
      this.#deadlineMs = spentMs + Math.max(0, this.#budget.ms - spentMs) / (others + 1);
    } else this.#bytesMax = this.#bytes + Math.max(0, this.#budget.bytes - this.#bytes) / (others + 1);
  }

  /** Whether so much may be read yet; counts it if so. */
  spend(bytes: number): boolean {
    if (performance.now() - this.#started >= this.#deadlineMs) return false;
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }
}

/**
 * The packs, those first that were not checked for longest, until the budget is spent; at least one, or a small budget
 * would never get anywhere. All seals of a pack are checked, and no chunk is held against a list.
 */
export function* oldestFirst(roster: PackRoster, checks: PackChecks, spending: Spending): Iterable<PackJob> {
  let some = false;
  for (const place of byTime(checks.timesOf(roster.packs))) {
    const pack = roster.pack(place);
    if (!spending.spend(pack.sizeBytes) && some) return;
    some = true;
    yield { ...pack, places: new PlacesBuilder().take(), lists: new Int32Array(0) };
  }
}
