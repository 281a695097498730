/** Patterns of tables that match nothing, and what may have been meant by them. */
import type { Archive } from './entry.ts';
import { type NamePredicate, tablePattern } from './pattern.ts';
import { quoteQualified } from './quote.ts';
import { selectableRelations } from './select.ts';

export interface Unmatched {
  pattern: string;
  /** The only name that differs in the case of its letters alone, as a pattern that matches it. */
  meant: string | null;
}

/** Each pattern that matches no relation of the archive by itself. */
export function unmatchedPatterns(archive: Archive, patterns: readonly string[]): Unmatched[] {
  const relations = selectableRelations(archive);
  const matchesSome = (predicate: NamePredicate) =>
    relations.some(entry => predicate(entry.namespace ?? '', entry.tag));
  return patterns
    .filter(pattern => !matchesSome(tablePattern(pattern)))
    .map(pattern => {
      const plain = pattern.replaceAll('"', '').toLowerCase();
      const close = relations.filter(({ namespace, tag }) =>
        [tag, `${namespace}.${tag}`].some(name => name.toLowerCase() === plain),
      );
      return {
        pattern,
        meant: close.length === 1 ? quoteQualified(close[0]!.namespace, close[0]!.tag) : null,
      };
    });
}
