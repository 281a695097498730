/**
 * Reads the CREATE TABLE of a table of contents into its parts, by its tokens: so that a table can be made under another
 * name without a text being edited that only looks like a clause.
 * Source of the shape: dumpTableSchema in PostgreSQL's src/bin/pg_dump/pg_dump.c.
 */
import { quoteIdentifier, readQualified } from './quote.ts';
import { splitStatements, type Token, tokensOf } from './sqlText.ts';

export interface CreateTable {
  unlogged: boolean;
  /** `OF public.type`, for a table of a type. */
  type: string | null;
  /** Whether its rows lie in partitions. */
  partitioned: boolean;
  /** Column definitions and constraints, as they stand between the parentheses. */
  elements: string[];
  /** Names of the tables it inherits from, unquoted: schema and name. */
  parents: string[][];
  /** `WITH (…)` */
  options: string | null;
  /** What follows the names in `ALTER TABLE ONLY name …;`, of the statements that belong to it. */
  alterations: string[];
}

/** Null for what is no plain or partitioned table. */
export function readCreateTable(definition: string): CreateTable | null {
  const [create = '', ...others] = splitStatements(definition);
  const start = /^CREATE (UNLOGGED )?TABLE /.exec(create);
  const name = start && readQualified(create, start[0].length);
  if (!name) return null;
  const groups = groupsOf(create, name.end);
  const key = groups.find(group => /(?:^|\n)PARTITION BY \w+$/.test(group.before));
  const columns = groups.find(group => group !== key && (group.before === '' || /^OF /.test(group.before)));
  const named = (clause: string) => groups.find(group => group.before === clause);
  const lone = /^\s*OF (.*?)(?:\nPARTITION BY .*)?;\s*$/s.exec(create.slice(name.end))?.[1];
  return {
    unlogged: start[1] !== undefined,
    type: /^OF (.*)$/s.exec(columns?.before ?? '')?.[1] ?? (columns ? null : (lone ?? null)),
    partitioned: key !== undefined,
    elements: columns?.elements ?? [],
    parents: (named('INHERITS')?.elements ?? []).map(parent => readQualified(parent, 0)?.parts ?? []),
    options: named('WITH') ? `WITH (${named('WITH')!.elements.join(', ')})` : null,
    alterations: others.flatMap(alterationOf),
  };
}

/** `name (…)` groups at the outermost level: what stands before each, and what is between its commas. */
function groupsOf(sql: string, from: number): { before: string; elements: string[] }[] {
  const groups: { before: string; elements: string[] }[] = [];
  let depth = 0;
  let mark = from;
  let group: { before: string; elements: string[] } | undefined;
  for (const { text, start, end } of tokensOf(sql)) {
    if (start < from) continue;
    if (text === '(' && depth++ === 0) {
      group = { before: sql.slice(mark, start).trim(), elements: [] };
      groups.push(group);
      mark = end;
    } else if (depth === 1 && (text === ',' || text === ')')) {
      const element = sql.slice(mark, start).trim();
      if (element !== '') group!.elements.push(element);
      mark = end;
      if (text === ')') depth = 0;
    } else if (text === ')') depth--;
  }
  return groups;
}

/** What follows the name in `ALTER TABLE ONLY name …;`; nothing for another statement. */
export function alterationOf(statement: string): string[] {
  const start = /^ALTER TABLE (?:ONLY )?/.exec(statement);
  const name = start && readQualified(statement, start[0].length);
  return name ? [statement.slice(name.end).trim()] : [];
}

/** The column that an element defines; null for a constraint. pg_dump writes keywords large, and names that are one quoted. */
export function columnOf(element: string): string | null {
  if (/^(?:CONSTRAINT|CHECK|NOT|UNIQUE|PRIMARY|FOREIGN|EXCLUDE) /.test(element)) return null;
  return readQualified(element, 0)?.parts[0] ?? null;
}

/** The element's own name, to tell whether two are the same: a column's, or a constraint's. */
export function elementKey(element: string): string {
  const column = columnOf(element);
  if (column !== null) return `column ${column}`;
  const name = element.startsWith('CONSTRAINT ') ? readQualified(element, 'CONSTRAINT '.length) : null;
  return name ? `constraint ${name.parts[0]}` : element;
}

/** Whether tables that inherit have a constraint not. */
export function staysBehind(element: string): boolean {
  if (columnOf(element) !== null) return false;
  const words = [...tokensOf(element)].map(token => token.text).filter(text => /\S/.test(text));
  return words.some((word, at) => word === 'NO' && words[at + 1] === 'INHERIT');
}

/** An expression's `old.*`, the whole row of the table, under the table's new name. */
export function renameWholeRow(sql: string, from: string, to: string): string {
  const tokens = [...tokensOf(sql)];
  const isName = ({ text }: Token) => readQualified(text, 0)?.parts[0] === from && /^["\p{L}_]/u.test(text);
  let renamed = '';
  let mark = 0;
  tokens.forEach((token, at) => {
    const [dot, star] = [tokens[at + 1]?.text, tokens[at + 2]?.text];
    if (dot !== '.' || star !== '*' || tokens[at - 1]?.text === '.' || !isName(token)) return;
    renamed += sql.slice(mark, token.start) + quoteIdentifier(to);
    mark = token.end;
  });
  return renamed + sql.slice(mark);
}
