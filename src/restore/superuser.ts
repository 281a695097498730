/**
 * What of an archive only a superuser can make. Source: the pages of the CREATE commands in PostgreSQL's manual, and
 * src/backend/commands of PostgreSQL 15 to 19.
 */
import type { ArchiveEntry } from '../postgres/archive/entry.ts';
import { mayHoldSecret } from './secrets.ts';

/** What the role of a connection may do there. */
export interface Powers {
  superuser: boolean;
  /** Roles whose privileges it has. */
  memberOf: ReadonlySet<string>;
  /** Extensions that are there already, or that it can create. */
  extensions: ReadonlySet<string>;
}

const KINDS = new Set([
  'ACCESS METHOD',
  'ACL LANGUAGE',
  'EVENT TRIGGER',
  'FOREIGN DATA WRAPPER',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'PROCEDURAL LANGUAGE',
  'PUBLICATION TABLES IN SCHEMA',
  'TEXT SEARCH PARSER',
  'TEXT SEARCH TEMPLATE',
]);

/** Languages whose functions can do whatever the server's account can. */
const UNTRUSTED = /^ {4}LANGUAGE "?(?:c|internal|pl\w+u)"?\b/im;
const LEAKPROOF = /^ {4}LANGUAGE [^\n]* LEAKPROOF\b/im;
const CREATE_SUBSCRIPTION = 'pg_create_subscription';

export function needsSuperuser(entry: ArchiveEntry, powers: Powers): boolean {
  if (powers.superuser) return false;
  const { desc, tag, defn } = entry;
  const text = defn ?? '';
  if (KINDS.has(desc)) return true;
  switch (desc) {
    case 'EXTENSION':
      return !powers.extensions.has(tag);
    case 'TYPE':
      return /^CREATE TYPE [^\n]* \(\n {4}INTERNALLENGTH = /.test(text);
    case 'FUNCTION':
    case 'PROCEDURE':
      return UNTRUSTED.test(text) || LEAKPROOF.test(text);
    case 'AGGREGATE':
      return /^ {4}STYPE = internal\b/m.test(text);
    case 'CAST':
      return / WITHOUT FUNCTION/.test(text) || isBuiltIn(/^CAST \((.*) AS (.*)\)$/.exec(tag));
    case 'TRANSFORM':
      return isBuiltIn(/^TRANSFORM FOR (.*) LANGUAGE /.exec(tag));
    case 'PUBLICATION':
      return / FOR ALL (?:TABLES|SEQUENCES)/.test(text);
    case 'SUBSCRIPTION':
      return !powers.memberOf.has(CREATE_SUBSCRIPTION);
    case 'ACL':
      return entry.namespace === 'pg_catalog' || /^(?:LANGUAGE|FOREIGN DATA WRAPPER) /.test(tag);
    case 'DEFAULT ACL':
      return !powers.memberOf.has(entry.owner ?? '');
    default:
      return false;
  }
}

/** Types of pg_catalog are named without a schema: archives are written with an empty search_path. */
function isBuiltIn(match: RegExpExecArray | null): boolean {
  return match?.slice(1).every(type => !type.includes('.')) ?? false;
}

/** What hangs on another entry and has no purpose without it. */
const ABOUT = new Set(['COMMENT', 'SECURITY LABEL', 'ACL', 'PUBLICATION TABLE', 'SUBSCRIPTION TABLE']);

/** Nothing selected depends on the entry; what only says something about it goes with it. */
export interface Leaf {
  entry: ArchiveEntry;
  about: ArchiveEntry[];
}

export interface SuperuserNeeded {
  leaves: Leaf[];
  /** What others depend on. */
  needed: ArchiveEntry[];
}

export function superuserNeeded(entries: readonly ArchiveEntry[], powers: Powers): SuperuserNeeded {
  const reserved = new Map(
    entries.filter(entry => needsSuperuser(entry, powers)).map(entry => [entry.dumpId, entry]),
  );
  const reservedBefore = (entry: ArchiveEntry) =>
    entry.dependencies.map(id => reserved.get(id)).filter(each => each !== undefined);
  const needed = new Set<ArchiveEntry>();
  const about = new Map<ArchiveEntry, ArchiveEntry[]>();
  for (const entry of entries) {
    if (reserved.has(entry.dumpId)) continue;
    for (const on of reservedBefore(entry)) {
      if (ABOUT.has(entry.desc)) about.set(on, [...(about.get(on) ?? []), entry]);
      else needed.add(on);
    }
  }
  // A set grows while it is walked: what is needed needs what it depends on itself.
  for (const entry of needed) for (const other of reservedBefore(entry)) needed.add(other);
  const leaves = [...reserved.values()].filter(entry => !needed.has(entry));
  return {
    leaves: leaves.map(entry => ({ entry, about: about.get(entry) ?? [] })),
    needed: [...needed],
  };
}

/**
 * What a role may not be able to make, where only the server knows: it is tried, and left out where the server says
 * that the role may not.
 */
export class Tried {
  readonly #leaves: ReadonlyMap<number, Leaf>;
  readonly #refused = new Set<ArchiveEntry>();

  constructor(leaves: readonly Leaf[]) {
    this.#leaves = new Map(leaves.map(leaf => [leaf.entry.dumpId, leaf]));
  }

  /** For the plan. */
  describe(): string[] {
    const names = [...this.#leaves.values()].map(({ entry }) => `${entry.desc} ${entry.tag}`);
    if (names.length === 0) return [];
    return [`tried, and left out with a note where this role may not make it: ${names.join(', ')}`];
  }

  /** An entry that the server did not let the role make; null where the restore can't go on without it. */
  refuse(entry: ArchiveEntry): Leaf | null {
    const leaf = this.#leaves.get(entry.dumpId) ?? null;
    for (const each of leaf ? [entry, ...leaf.about] : []) this.#refused.add(each);
    return leaf;
  }

  isRefused(entry: ArchiveEntry): boolean {
    return this.#refused.has(entry);
  }
}

export function leftToSuperuser({ entry, about }: Leaf): string {
  return `only a superuser can do that, afterwards: ${statementToHandOver(entry, about)}`;
}

const STATEMENT_CHARS = 300;

/** What to hand to a superuser, or where it is to be found. */
export function statementToHandOver(entry: ArchiveEntry, about: ArchiveEntry[] = []): string {
  // An extension brings its own comment.
  const rest = entry.desc === 'EXTENSION' ? about.filter(({ desc }) => desc !== 'COMMENT') : about;
  const statements = [entry, ...rest].map(({ defn }) => onOneLine(defn ?? ''));
  const text = statements.join(' ');
  return [entry, ...rest].some(mayHoldSecret) || text.length > STATEMENT_CHARS
    ? "'tidemark export' has the statement"
    : text;
}

/** A statement, for a note. Line ends in literals go too. */
export function onOneLine(statement: string): string {
  return statement.trim().replace(/\s*\n\s*/g, ' ');
}
