import { TidemarkError } from '../../base/errors.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { entryName } from '../../postgres/archive/entryName.ts';

/** Whose definitions name types, functions and relations by what the server finds for their numbers. */
const KINDS = new Set([
  ...['FUNCTION', 'PROCEDURE', 'AGGREGATE', 'OPERATOR', 'CAST', 'TRANSFORM', 'DOMAIN', 'TYPE'],
  ...['VIEW', 'MATERIALIZED VIEW', 'RULE', 'INDEX', 'TRIGGER', 'POLICY', 'STATISTICS', 'EVENT TRIGGER'],
]);
/** Text, quoted names, bodies of functions, in which anything may stand. */
const QUOTED = /'[^']*'|"[^"]*"|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1/g;
/** What format_type says of a type that is gone; an operator of that name has its schema before it. */
const UNKNOWN = /(?:^|[\s(,])\?\?\?(?:$|[\s,;)[])/m;
const RETURNS_NOTHING = /\bRETURNS *$/m;
const TAKES_NOTHING = /^CREATE (?:FUNCTION|PROCEDURE) [^(\n]*\(\)/m;

/** Objects whose definition lacks what was dropped while it was read: `FUNCTION public.f(???)`. */
export function holesOf(archive: Archive): string[] {
  return archive.entries.filter(entry => KINDS.has(entry.desc) && hasHole(entry)).map(entryName);
}

function hasHole({ desc, tag, defn }: ArchiveEntry): boolean {
  if (defn === null || /^[;\s]*$/.test(defn)) return true;
  const bare = defn.replace(QUOTED, "''");
  if (UNKNOWN.test(bare) || (desc === 'FUNCTION' && RETURNS_NOTHING.test(bare))) return true;
  return TAKES_NOTHING.test(bare) && !tag.endsWith('()');
}

/** What the comparison of catalogs did not see; where it stays so, the database itself is damaged. */
export function refuseHoles(archive: Archive): void {
  const holes = holesOf(archive);
  if (holes.length === 0) return;
  throw new TidemarkError(
    'DEFINITION_INCOMPLETE',
    `the server can't say what ${holes.slice(0, 10).join(', ')} ${holes.length > 1 ? 'are' : 'is'} made of`,
    'what it names is dropped, or missing from the catalogs: run the backup again; if it stays so, drop or replace the object',
  );
}
