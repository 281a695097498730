/**
 * Definitions that call the users' own functions, which may read other tables: a check constraint, a generated column, a
 * domain's check run while rows are loaded; an index's expression while it is built. PostgreSQL does not want such
 * functions to read anything, does not keep anyone from it either, and pg_dump knows no order between the tables.
 */
import type { Archive, ArchiveEntry } from './entry.ts';
import { quoteIdentifier } from './quote.ts';

/** What leads from a definition to the functions it calls. */
const LEADS_ON = new Set([
  'DOMAIN',
  'TYPE',
  'OPERATOR',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'CAST',
  'AGGREGATE',
]);
/** Of these, a dependency on a function is one of their expressions'. */
const EXPRESSIONS = new Set(['INDEX', 'CONSTRAINT', 'CHECK CONSTRAINT']);
/** What a function in SQL or PL/pgSQL has to say to read a table by itself; others read as they like. */
const READS = /\b(?:from|join|table|execute|perform|call|nextval|currval|lo_get|\w+_to_xml\w*)\b/i;

export class TableReaders {
  readonly #byId: ReadonlyMap<number, ArchiveEntry>;
  readonly #functions: { entry: ArchiveEntry; name: string }[];
  readonly #reading = new Map<ArchiveEntry, boolean>();

  constructor(archive: Archive) {
    this.#byId = new Map(archive.entries.map(entry => [entry.dumpId, entry]));
    this.#functions = archive.entries
      .filter(({ desc }) => desc === 'FUNCTION' || desc === 'PROCEDURE')
      .map(entry => ({ entry, name: nameOf(entry) }));
  }

  /** Functions that run when rows of this table are loaded, and may read other tables. */
  atLoad(table: ArchiveEntry): ArchiveEntry[] {
    if (table.desc !== 'TABLE' || this.#functions.length === 0) return [];
    const found = new Set<ArchiveEntry>();
    const text = withoutLiterals(table.defn ?? '');
    const expressions = expressionsOf(text);
    for (const entry of this.#dependencies(table)) {
      if (entry.desc === 'TABLE') {
        // A child table has its parent's checks.
        if (/\bINHERITS \(/.test(text)) for (const each of this.atLoad(entry)) found.add(each);
      } else if (entry.desc === 'FUNCTION') {
        if (expressions.includes(`${quoteIdentifier(nameOf(entry))}(`)) found.add(entry);
      } else if (LEADS_ON.has(entry.desc)) for (const each of this.#called(entry)) found.add(each);
    }
    return [...found].filter(each => this.#reads(each));
  }

  /** Whether building this needs rows of other tables than its own. */
  atBuild(entry: ArchiveEntry): boolean {
    if (!EXPRESSIONS.has(entry.desc) || this.#functions.length === 0) return false;
    return this.#called(entry).some(each => this.#reads(each));
  }

  /** Whether one of the functions, or one that it calls, names this table. */
  mention(functions: readonly ArchiveEntry[], table: string): boolean {
    const escaped = table.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const named = new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`);
    const seen = new Set(functions);
    for (const each of seen) {
      const text = each.defn ?? '';
      if (named.test(text)) return true;
      for (const { entry, name } of this.#functions) if (text.includes(name)) seen.add(entry);
    }
    return false;
  }

  #dependencies(entry: ArchiveEntry): ArchiveEntry[] {
    return entry.dependencies.map(id => this.#byId.get(id)).filter(each => each !== undefined);
  }

  #called(entry: ArchiveEntry): ArchiveEntry[] {
    const found: ArchiveEntry[] = [];
    const seen = new Set(this.#dependencies(entry));
    for (const each of seen) {
      if (each.desc === 'FUNCTION') found.push(each);
      else if (LEADS_ON.has(each.desc)) for (const next of this.#dependencies(each)) seen.add(next);
    }
    return found;
  }

  #reads(entry: ArchiveEntry): boolean {
    const known = this.#reading.get(entry);
    if (known !== undefined) return known;
    // While it is being looked at: functions may call each other.
    this.#reading.set(entry, false);
    const text = entry.defn ?? '';
    const language = /^ {4}LANGUAGE "?(\w+)/m.exec(text)?.[1]?.toLowerCase() ?? '';
    const reads =
      language !== 'c' &&
      language !== 'internal' &&
      ((language !== 'sql' && language !== 'plpgsql') ||
        READS.test(text) ||
        this.#functions.some(
          ({ entry: other, name }) => other !== entry && text.includes(name) && this.#reads(other),
        ));
    this.#reading.set(entry, reads);
    return reads;
  }
}

/** A function's tag is `name(argument types)`. */
function nameOf({ tag }: ArchiveEntry): string {
  return tag.slice(0, tag.indexOf('('));
}

function withoutLiterals(sql: string): string {
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, token => (token.startsWith("'") ? "''" : token));
}

/** The text of checks and of generated columns in a CREATE TABLE, by their parentheses. */
function expressionsOf(create: string): string {
  let found = '';
  for (const { index, 0: head } of create.matchAll(/\b(?:CHECK|GENERATED ALWAYS AS) \(/g)) {
    let depth = 1;
    let at = index + head.length;
    for (; depth > 0 && at < create.length; at++) {
      if (create[at] === '(') depth++;
      else if (create[at] === ')') depth--;
    }
    found += `${create.slice(index, at)}\n`;
  }
  return found;
}
