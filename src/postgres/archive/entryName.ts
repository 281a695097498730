import { isRelation } from './belongs.ts';
import type { ArchiveEntry } from './entry.ts';
import { quoteQualified } from './quote.ts';

const ROWS = new Set(['TABLE DATA', 'MATERIALIZED VIEW DATA', 'SEQUENCE', 'SEQUENCE SET']);

/** `TABLE public."Odd name"`: an entry for people; a relation's name is as it can be typed after --table. */
export function entryName(entry: ArchiveEntry): string {
  const { desc, namespace, tag } = entry;
  const isNamed = isRelation(entry) || ROWS.has(desc);
  const name = isNamed ? quoteQualified(namespace, tag) : `${namespace ? `${namespace}.` : ''}${tag}`;
  return `${desc} ${name}`;
}
