/**
 * What no rule can forget: of each database the last good snapshot, and of what it does not cover, the last good one of
 * that. It follows from the snapshots alone, never from the rules, so that no rule can undermine it.
 */
import { type Coverage, coverageKey, covers, isWhole } from './coverage.ts';

/** A snapshot of a database; lists of them are newest first. */
export interface Guarded {
  id: string;
  good: boolean;
  coverage: Coverage;
}

/**
 * The snapshots of one database in one repository that must stay, with the reason. A good one must stay unless a newer
 * good one covers it; one that is damaged, where no good one covers it, nor a newer damaged one.
 */
export function lastGood(newestFirst: readonly Guarded[]): Map<string, string> {
  const reasons = new Map<string, string>();
  const seen = new Map<string, Coverage>();
  const isCovered = (coverage: Coverage) => [...seen.values()].some(newer => covers(newer, coverage));
  for (const { id, good, coverage } of [
    ...newestFirst.filter(each => each.good),
    ...newestFirst.filter(each => !each.good),
  ]) {
    if (isCovered(coverage)) continue;
    seen.set(coverageKey(coverage), coverage);
    const of = isWhole(coverage) ? '' : ' of what it covers';
    reasons.set(id, good ? `last good snapshot${of}` : `last snapshot${of}, though damaged`);
  }
  return reasons;
}
