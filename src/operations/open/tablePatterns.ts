import { usageError } from '../../base/errors.ts';
import { unmatchedPatterns } from '../../postgres/archive/matching.ts';
import type { OpenSnapshot } from './openSnapshot.ts';

/** Every pattern of tables must match by itself: one that is passed over would be a table that nobody misses in time. */
export function requireMatches({ archive, manifest }: OpenSnapshot, patterns: readonly string[]): void {
  const unmatched = unmatchedPatterns(archive, patterns);
  if (unmatched.length === 0) return;
  const meant = unmatched.flatMap(each => each.meant ?? []);
  const hint =
    meant.length > 0
      ? `names with capitals are quoted: ${meant.map(name => `--table '${name}'`).join(' ')}`
      : `'tidemark show ${manifest.snapshot}' lists them`;
  throw usageError(
    'TABLES_UNMATCHED',
    `no table of the snapshot matches ${unmatched.map(each => each.pattern).join(', ')}`,
    hint,
  );
}
