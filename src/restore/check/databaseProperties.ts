import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { isDatabaseEntry } from '../../postgres/archive/statements.ts';
import { type DatabaseStatement, LAST_SETTINGS } from '../database/definition.ts';
import type { ObjectDifference } from './compare.ts';
import { tokensOf } from './wording.ts';

export interface PropertyOptions {
  owner: boolean;
  privileges: boolean;
  tablespaces: boolean;
  /** Whether the restore made the database; else only what was added to it can be compared. */
  made: boolean;
  /** Of the target: older ones lack some kinds of locale, which is noted when the database is made. */
  serverMajor: number;
  /** Statements that the target did not take, which was said: what they set is not expected. */
  refused: readonly DatabaseStatement[];
}

/** Who may connect, and as what: what would be in a restore's way, so it is set, or refused and noted, at the very end. */
const ACCESS = new Set(['connection limit', 'is_template', 'allow_connections']);
const isAccess = (name: string) =>
  ACCESS.has(name) || LAST_SETTINGS.has(/^setting (\S+)/.exec(name)?.[1] ?? '');

const ICU_RULES_MAJOR = 16;
const BUILTIN_PROVIDER_MAJOR = 17;

/** A database itself: `expected` are the snapshot's entries, `found` those of the target, whatever either is called. */
export function compareProperties(
  expected: Archive,
  found: Archive,
  options: PropertyOptions,
): { equal: number; differences: ObjectDifference[] } {
  const wanted = propertiesOf(expected, options, options.refused);
  const there = propertiesOf(found, options, []);
  if (options.serverMajor < ICU_RULES_MAJOR) wanted.delete('icu_rules');
  if (options.serverMajor < BUILTIN_PROVIDER_MAJOR && wanted.get('locale_provider') === 'builtin') {
    for (const name of ['locale_provider', 'builtin_locale']) {
      wanted.delete(name);
      there.delete(name);
    }
  }
  const differences: ObjectDifference[] = [];
  let equal = 0;
  for (const [name, value] of wanted) {
    const other = there.get(name);
    if (other === value) equal++;
    else {
      const kind = other === undefined ? 'missing' : 'different';
      differences.push(difference(kind, name, value, other ?? null));
    }
  }
  if (!options.made) return { equal, differences };
  for (const [name, value] of there)
    if (!wanted.has(name)) differences.push(difference('added', name, null, value));
  return { equal, differences };
}

function difference(
  kind: ObjectDifference['kind'],
  name: string,
  expected: string | null,
  found: string | null,
): ObjectDifference {
  const secret = name.startsWith('setting ');
  const shown = (value: string | null) => (secret && value !== null ? 'value not shown' : value);
  return { kind, object: `DATABASE ${name}`, expected: shown(expected), found: shown(found) };
}

const AUTHORIZATION = /^(?:RE)?SET SESSION AUTHORIZATION\b/;

/** Name → value: owner, what it was created with, and what was said about it afterwards. */
function propertiesOf(
  archive: Archive,
  options: PropertyOptions,
  refused: readonly DatabaseStatement[],
): Map<string, string> {
  const properties = new Map<string, string>();
  const without = new Set(refused.map(wordsOf).map(words => words.join(' ')));
  const grants: string[] = [];
  for (const entry of archive.entries) {
    if (!isDatabaseEntry(entry)) continue;
    if (entry.desc === 'DATABASE') {
      if (!options.made) continue;
      if (options.owner && entry.owner) properties.set('owner', entry.owner);
      for (const [name, value] of creationOf(entry)) properties.set(name, value);
      if (!options.tablespaces) properties.delete('tablespace');
    } else if (entry.desc === 'ACL') grants.push(...statementsOf(entry).map(words => words.join(' ')));
    else {
      for (const words of statementsOf(entry)) {
        if (without.has(words.join(' '))) continue;
        const [name, value, ofDatabase] = propertyOf(words);
        if ((options.made || !ofDatabase) && !isAccess(name)) properties.set(name, value);
      }
    }
  }
  // Who granted is only compared where every change of the session's user was taken.
  const grantors = !options.refused.some(({ before }) => AUTHORIZATION.test(before));
  const granted = grants
    .filter(grant => !without.has(grant) && (grantors || !AUTHORIZATION.test(grant)))
    .sort();
  if (options.privileges && granted.length > 0) properties.set('privileges', granted.join('\n'));
  return properties;
}

/** What a statement about the database sets. */
export function nameOfProperty(statement: DatabaseStatement): string {
  return propertyOf(wordsOf(statement))[0];
}

function wordsOf({ before, after }: DatabaseStatement): string[] {
  return wordsOfSql(after === null ? before : `${before}name${after}`)[0] ?? [];
}

function statementsOf(entry: ArchiveEntry): string[][] {
  return wordsOfSql(entry.defn ?? '');
}

/** Statements about the database as words, the database's name left out. */
function wordsOfSql(sql: string): string[][] {
  const statements: string[][] = [[]];
  let named = false;
  for (const word of tokensOf(sql)) {
    if (word.startsWith('--')) continue;
    if (word === ';') statements.push([]);
    else if (!(named && statements.at(-1)!.at(-1) === 'DATABASE')) statements.at(-1)!.push(word);
    named = word === 'DATABASE';
  }
  return statements.filter(words => words.length > 0 && words[0] !== 'UPDATE');
}

/** What a statement sets, to what, and whether it is the database itself and nothing that can be added to any. */
function propertyOf(words: readonly string[]): [name: string, value: string, ofDatabase: boolean] {
  const set = words.indexOf('SET');
  const to = words.findIndex((word, at) => at > set && (word === 'TO' || word === '='));
  if (words[0] === 'ALTER' && set > 0 && to > set) {
    const role = words[1] === 'ROLE' ? ` of role ${words[2]}` : '';
    const name = words
      .slice(set + 1, to)
      .join('')
      .replace(/^"|"$/g, '');
    return [`setting ${name}${role}`, words.slice(to + 1).join(' '), false];
  }
  const is = words.indexOf('IS');
  if (is > 0 && words[0] !== 'ALTER')
    return [words.slice(0, is).join(' ').toLowerCase(), words.slice(is + 1).join(' '), false];
  const options = words.slice(2).filter(word => word !== '=');
  return [options.slice(0, -1).join(' ').toLowerCase(), options.at(-1) ?? '', true];
}

/** `CREATE DATABASE … WITH NAME = value …`, each by its name. */
function* creationOf(entry: ArchiveEntry): Iterable<[string, string]> {
  const words = tokensOf(entry.defn ?? '');
  for (let at = 1; at + 1 < words.length; at++) {
    if (words[at] !== '=') continue;
    const [name, value] = [words[at - 1]!, words[at + 1]!.replace(/^'|'$/g, '')];
    if (name === 'TEMPLATE' || name === 'STRATEGY' || name === 'OID') continue;
    if (name !== 'LOCALE') yield [name.toLowerCase(), value];
    else yield* ['lc_collate', 'lc_ctype'].map(each => [each, value] as [string, string]);
  }
}

/** How many may connect, and whether it is a template, as the archive says; null where it has no database. */
export function accessOf(archive: Archive): { connectionLimit: string; isTemplate: boolean } | null {
  if (!archive.entries.some(entry => entry.desc === 'DATABASE')) return null;
  const statements = archive.entries
    .filter(entry => entry.desc === 'DATABASE PROPERTIES')
    .flatMap(statementsOf)
    .map(propertyOf);
  const said = (property: string) => statements.find(([name]) => name === property)?.[1];
  return {
    connectionLimit: said('connection limit') ?? '-1',
    isTemplate: said('is_template') === 'true',
  };
}
