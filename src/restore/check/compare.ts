import { mayHoldSecret } from '../secrets.ts';
import type { DescribedObject } from './describe.ts';
import { bareWords, canonicalWords, unqualifiedWords } from './wording.ts';

/** What of an object a target has otherwise than the snapshot says. */
export interface ObjectDifference {
  kind: 'missing' | 'added' | 'different';
  /** Kind, schema and name. */
  object: string;
  /** Statement or owner that the snapshot has; null where it has none. */
  expected: string | null;
  found: string | null;
}

/** What of a check could not be done: a restore that has such ends as one that found a fault. */
export interface Unchecked {
  what: string;
  why: string;
  /** How to get it checked. */
  hint: string;
}

export interface Comparison {
  /** Objects that are there as they should be. */
  equal: number;
  differences: ObjectDifference[];
  /** Objects that are there with their owner, in words that another version may have for the same thing, or not. */
  unchecked: Unchecked[];
}

export interface CompareOptions {
  /**
   * Whether both were read by the same pg_dump from servers of one major version: then equal objects have equal
   * statements.
   */
  sameVersion: boolean;
  /** Whether the source's server knew the privilege MAINTAIN (PostgreSQL 17); else owners get it from a newer one. */
  maintain: boolean;
  /**
   * The role that owns everything, where owners were left out; else null. What the owner of an object may do is not said
   * as a privilege, so that then privileges of either owner can't be compared.
   */
  onlyOwner: string | null;
}

/**
 * Compares objects by kind, name and statement. Both lists may have several objects of one name. `added` are those that
 * are found and not expected.
 */
export function compareObjects(
  expected: readonly DescribedObject[],
  found: readonly DescribedObject[],
  options: CompareOptions,
): Comparison {
  const result: Comparison = { equal: 0, differences: [], unchecked: [] };
  const ignored = options.onlyOwner === null ? null : new OwnersPrivileges(options.onlyOwner, expected);
  const left = grouped(ignored?.without(found) ?? found);
  for (const [name, wanted] of grouped(ignored?.without(expected) ?? expected)) {
    const there = left.get(name) ?? [];
    left.delete(name);
    compareGroup(wanted, there, options, result);
  }
  for (const object of [...left.values()].flat()) result.differences.push(added(object));
  return result;
}

function grouped(objects: readonly DescribedObject[]): Map<string, DescribedObject[]> {
  const groups = new Map<string, DescribedObject[]>();
  for (const object of objects) {
    const group = groups.get(object.name);
    if (group) group.push(object);
    else groups.set(object.name, [object]);
  }
  return groups;
}

/** Objects of one name: first those that are equal, then those that are left in their order. */
function compareGroup(
  wanted: DescribedObject[],
  there: DescribedObject[],
  options: CompareOptions,
  result: Comparison,
): void {
  const rest: DescribedObject[] = [];
  const left = [...there];
  for (const object of wanted) {
    const at = left.findIndex(other => compareStatements(object, other, options) === 'equal');
    if (at < 0) rest.push(object);
    else if (hasOwner(object, left.splice(at, 1)[0]!, result)) result.equal++;
  }
  for (const object of rest) {
    const other = left.shift();
    if (other === undefined) {
      const expected = shown(object, object.statements);
      result.differences.push({ kind: 'missing', object: object.name, expected, found: null });
    } else if (compareStatements(object, other, options) === 'unknown') {
      if (hasOwner(object, other, result)) result.unchecked.push(reworded(object, other));
    } else result.differences.push(...different(object, other));
  }
  for (const object of left) result.differences.push(added(object));
}

/** Where it has another owner, that is a difference. */
function hasOwner(wanted: DescribedObject, there: DescribedObject, { differences }: Comparison): boolean {
  if (wanted.owner === there.owner) return true;
  const [expected, found] = [`owner ${wanted.owner}`, `owner ${there.owner}`];
  differences.push({ kind: 'different', object: wanted.name, expected, found });
  return false;
}

function reworded(wanted: DescribedObject, there: DescribedObject): Unchecked {
  const [{ expected, found }] = different(wanted, there) as [ObjectDifference];
  return {
    what: wanted.name,
    why: `it is there in other words, which may be the other version's for the same\nsnapshot: ${expected!.trim()}\ntarget: ${found!.trim()}`,
    hint: `read whether both say the same; --check none takes it as it is`,
  };
}

function added(object: DescribedObject): ObjectDifference {
  return { kind: 'added', object: object.name, expected: null, found: shown(object, object.statements) };
}

/** Lines that only one of the two has, where both have several. */
function different(wanted: DescribedObject, there: DescribedObject): ObjectDifference[] {
  const [left, right] = [lines(wanted.statements), lines(there.statements)];
  const [inLeft, inRight] = [new Set(left), new Set(right)];
  const only = (from: string[], other: Set<string>) => from.filter(line => !other.has(line)).join('\n');
  const owners =
    wanted.owner === there.owner
      ? []
      : [{ expected: `owner ${wanted.owner}`, found: `owner ${there.owner}` }];
  const statements = {
    expected: shown(wanted, only(left, inRight) || wanted.statements),
    found: shown(there, only(right, inLeft) || there.statements),
  };
  return [statements, ...owners].map(each => ({ kind: 'different', object: wanted.name, ...each }));
}

function lines(text: string): string[] {
  return text.split('\n').map(line => line.trim());
}

const SHOWN_MAX = 2000;

function shown(object: DescribedObject, text: string): string {
  if (mayHoldSecret(object)) return 'not shown, since it may hold a password';
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)} …` : text;
}

/** Kinds whose statements hold what a server makes of an expression or a query, which versions word differently. */
const DEPARSED = new Set(
  (
    'TABLE,FOREIGN TABLE,VIEW,MATERIALIZED VIEW,RULE,DEFAULT,CONSTRAINT,CHECK CONSTRAINT,INDEX,TRIGGER,POLICY,' +
    'STATISTICS,DOMAIN,FUNCTION,PROCEDURE,PUBLICATION TABLE,PROPERTY GRAPH'
  ).split(','),
);

type Verdict = 'equal' | 'different' | 'unknown';

/** PostgreSQL 17 and newer also note the other half of a pair of operators where only one named it. */
function withoutLinks(statement: string, like: string): string {
  const kept = statement
    .split(/,?\n/)
    .filter(line => !/^ *(?:COMMUTATOR|NEGATOR) = /.test(line) || like.includes(line));
  return kept.join('\n') === like.split(/,?\n/).join('\n') ? like : statement;
}

/** Kinds whose lines come in an order that says nothing, or that a restore can't bring back. */
const UNORDERED = new Set(['ACL', 'DEFAULT ACL', 'ACL LANGUAGE']);

function compareStatements(
  wanted: DescribedObject,
  there: DescribedObject,
  options: CompareOptions,
): Verdict {
  if (wanted.statements === there.statements) return 'equal';
  const [left, right] = [wanted, there].map(object => arranged(object, options));
  if (wanted.desc === 'OPERATOR' && !options.sameVersion && left === withoutLinks(right!, left!))
    return 'equal';
  if (left === right) return 'equal';
  if (wanted.desc === 'LARGE OBJECTS') return 'different';
  if (sameWords(canonicalWords(left!), canonicalWords(right!))) return 'equal';
  if (sameWords(bareWords(left!), bareWords(right!))) return 'equal';
  if (!options.sameVersion && sameWords(unqualifiedWords(left!), unqualifiedWords(right!))) return 'equal';
  return !options.sameVersion && DEPARSED.has(wanted.desc) ? 'unknown' : 'different';
}

/** The statements in an order that is the same for the same object. */
function arranged({ desc, statements }: DescribedObject, options: CompareOptions): string {
  if (UNORDERED.has(desc)) {
    const grants = statements
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.replace(/ {2,}(?=FROM|TO)/, ' '));
    const known = options.maintain ? grants : grants.flatMap(withoutMaintain);
    return known.sort().join('\n');
  }
  // Columns of a child come in the order of its parents.
  if (desc.endsWith('TABLE') && /\nINHERITS \(/.test(statements)) {
    const columns = statements.replace(SET_NOT_NULL, '    NOT NULL $1').replace(/,$/gm, '');
    return columns.split('\n').filter(Boolean).sort().join('\n');
  }
  return statements;
}

/** How pg_dump before 18 says that a column is not null which a table has of its parents alone. */
const SET_NOT_NULL = /^ALTER TABLE ONLY [^\n]* ALTER COLUMN ("(?:[^"]|"")*"|[^\s"]+) SET NOT NULL;$/gm;

const TABLE_PRIVILEGES = /(?<=\b(?:GRANT|REVOKE) (?:GRANT OPTION FOR )?)[A-Z,]+(?= ON TABLES? )/;
/** Of a table, before PostgreSQL 17. */
const ALL_PRIVILEGES = 7;

/** The statement as a server says it that has no MAINTAIN; nothing where that was all. */
function withoutMaintain(statement: string): string[] {
  const listed = TABLE_PRIVILEGES.exec(statement)?.[0].split(',');
  if (!listed) return [statement];
  const kept = listed.filter(privilege => privilege !== 'MAINTAIN');
  if (kept.length === 0) return [];
  return [statement.replace(TABLE_PRIVILEGES, kept.length === ALL_PRIVILEGES ? 'ALL' : kept.join(','))];
}

/** Privileges of those who own objects here or owned them there, left out. */
class OwnersPrivileges {
  readonly #role: string;
  readonly #owners: Map<string, string | null>;

  constructor(role: string, expected: readonly DescribedObject[]) {
    this.#role = role;
    this.#owners = new Map(expected.filter(isPrivileges).map(({ name, entry }) => [name, entry.owner]));
  }

  without(objects: readonly DescribedObject[]): DescribedObject[] {
    return objects.flatMap(object => {
      if (!isPrivileges(object)) return [object];
      const owners = [this.#role, this.#owners.get(object.name) ?? this.#role];
      const kept = lines(object.statements).filter(
        line => line !== '' && !owners.some(owner => namesOwner(line, owner)),
      );
      return kept.length === 0 ? [] : [{ ...object, statements: kept.join('\n') }];
    });
  }
}

function isPrivileges({ desc }: DescribedObject): boolean {
  return desc === 'ACL' || desc === 'ACL LANGUAGE';
}

function namesOwner(statement: string, owner: string): boolean {
  const end = statement.replace(/(?: WITH GRANT OPTION)?(?: CASCADE)?;?$/, '');
  return end.endsWith(` ${owner}`) || end.endsWith(` "${owner.replaceAll('"', '""')}"`);
}

function sameWords(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((word, at) => word === right[at]);
}
