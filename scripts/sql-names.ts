import ts from 'typescript';
import type { Breach, Rule } from './rule.ts';

/**
 * SQL that runs in sessions of ours: what is under src, but for fixtures and what the demo's application sends, which
 * has a database of its own.
 */
const OTHERS_SQL = /(^|\/)(odd\.sql|operations\/demo\/\w+\.sql)$/;
const QUERY = /(^|;)\s*(select\s|with\s[\s\S]*\bselect\s|values\s*\(|do\s*\$)/i;

/** What is written like a function's call and is none. */
const SYNTAX = new Set(
  (
    'all and any array as between by case cast coalesce collate copy distinct else end except except exists filter from ' +
    'greatest group grouping having if in intersect into is join lateral least like limit loop not null nullif on only ' +
    'operator or order over partition row select set some table then to union using values when where with within xmlelement'
  ).split(' '),
);
/** A name after these is a relation's or an alias's, with its columns in parentheses. */
const NAMES_RELATION = new Set(['as', 'table', 'into', 'copy', 'update', 'with', 'recursive']);

/** In SQL of ours every function, type and relation is named with its schema (docs/decisions/0008-search-path.md). */
export const sqlNamesRule: Rule = ({ path, text }) => {
  if (!path.startsWith('src/') || OTHERS_SQL.test(path)) return [];
  if (path.endsWith('.sql')) return breachesOf(path, text, 1);
  if (!path.endsWith('.ts') || path.endsWith('.test.ts')) return [];
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const breaches: Breach[] = [];
  const visit = (node: ts.Node): void => {
    const sql = literalOf(node);
    if (sql !== undefined && QUERY.test(sql)) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
      breaches.push(...breachesOf(path, sql, line + 1));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return breaches;
};

/** The text of a string or a template, whose placeholders stand for quoted names or values. */
function literalOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map(span => `"…"${span.literal.text}`).join('');
}

function breachesOf(path: string, sql: string, firstLine: number): Breach[] {
  const bare = withoutTexts(sql);
  const own = new Set(
    [
      ...bare.matchAll(/(?:\bwith|\brecursive|,)\s+(\w+)(?:\s*\([^()]*\))?\s+as\s*(?:materialized\s*)?\(/gi),
    ].map(found => found[1]!.toLowerCase()),
  );
  const found = [
    ...unqualified(bare, /(?:(\w+)\s+)?(?<![\w."$])([a-z_]\w*)\s*\(/gi, (name, before) => {
      return !SYNTAX.has(name) && !own.has(name) && !NAMES_RELATION.has(before);
    }).map(each => ({ ...each, what: 'function' })),
    ...unqualified(bare, /()::\s*(?!pg_catalog\.)(\w+)/g, () => true).map(each => ({
      ...each,
      what: 'type',
    })),
    ...unqualified(
      bare,
      /(?:(\w+)\s+)?\b(?:from|join)\s+(?:only\s+|lateral\s+)*([a-z_]\w*)\b(?!\s*[.(])/gi,
      (name, before) => !SYNTAX.has(name) && !own.has(name) && before !== 'distinct' && name !== 'stdin',
    ).map(each => ({ ...each, what: 'relation' })),
  ];
  return found.map(({ what, name, index }) => ({
    rule: 'sql-names',
    path,
    line: firstLine + bare.slice(0, index).split('\n').length - 1,
    fault: `${what} ${name} without its schema`,
    instead: `pg_catalog.${name}: a database's owner may have one of that name`,
  }));
}

function unqualified(
  sql: string,
  pattern: RegExp,
  counts: (name: string, before: string) => boolean,
): { name: string; index: number }[] {
  return [...sql.matchAll(pattern)]
    .map(match => ({
      name: match[2]!,
      before: match[1] ?? '',
      index: match.index + match[0].lastIndexOf(match[2]!),
    }))
    .filter(({ name, before }) => counts(name.toLowerCase(), before.toLowerCase()));
}

/** Without comments and literals, each as long as it was, its line ends kept; dollar-quoted bodies stay, being SQL. */
function withoutTexts(sql: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, ' ');
  return sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"/g, text =>
    text.startsWith('"') ? text.replace(/[^\n"]/g, '_') : blank(text),
  );
}
