/** What of a database a snapshot holds, as far as that can be told from how it was asked for. */

/** Patterns as written; empty `tables` means all of them. */
export interface Coverage {
  tables: readonly string[];
  excludeTables: readonly string[];
  schemaOnly: boolean;
  dataOnly: boolean;
}

export const WHOLE: Coverage = { tables: [], excludeTables: [], schemaOnly: false, dataOnly: false };

/**
 * Whether whoever has `a` lacks nothing of what `b` holds. Patterns are compared as they are written, so this may say no
 * where two patterns mean the same; it never says yes wrongly. Transitive, and true of a coverage and itself.
 */
export function covers(a: Coverage, b: Coverage): boolean {
  if ((a.dataOnly && !b.dataOnly) || (a.schemaOnly && !b.schemaOnly)) return false;
  if (a.tables.length > 0 && (b.tables.length === 0 || !isSubset(b.tables, a.tables))) return false;
  return isSubset(a.excludeTables, b.excludeTables);
}

export function isWhole(coverage: Coverage): boolean {
  return covers(coverage, WHOLE);
}

/** Two that cover each other have the same key. */
export function coverageKey({ tables, excludeTables, schemaOnly, dataOnly }: Coverage): string {
  const sorted = (patterns: readonly string[]) => [...new Set(patterns)].sort();
  return JSON.stringify([sorted(tables), sorted(excludeTables), schemaOnly, dataOnly]);
}

function isSubset(some: readonly string[], of: readonly string[]): boolean {
  return some.every(pattern => of.includes(pattern));
}
