/**
 * The tokens of SQL that may hold a semicolon without ending a statement: literals, quoted names, dollar quotes, comments.
 * Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html, with standard_conforming_strings on.
 */
const TOKEN =
  /[Ee]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\p{L}[\p{L}\p{N}_]*|_[\p{L}\p{N}_]*|)\$.*?\$\1\$|--[^\n]*|\/\*|[\p{L}_][\p{L}\p{N}_$]*|;|./gsu;

/**
 * A text cut behind each semicolon that ends a statement and the white space that follows it. The pieces together are the
 * text; the last may lack a semicolon.
 */
export function splitStatements(sql: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (const { text, end: semicolon } of tokensOf(sql)) {
    if (text !== ';') continue;
    let end = semicolon;
    while (end < sql.length && /\s/.test(sql[end]!)) end++;
    pieces.push(sql.slice(from, end));
    from = end;
  }
  if (from < sql.length) pieces.push(sql.slice(from));
  return pieces;
}

export interface Token {
  /** A literal, a quoted name, a word, or one character; of a comment its first two. */
  text: string;
  /** Where it lies in the text. */
  start: number;
  end: number;
}

/** All tokens of a text, white space among them. */
export function* tokensOf(sql: string): Iterable<Token> {
  const token = new RegExp(TOKEN);
  for (let found = token.exec(sql); found; found = token.exec(sql)) {
    const [text] = found;
    if (text === '/*') token.lastIndex = commentEnd(sql, token.lastIndex);
    yield { text, start: found.index, end: token.lastIndex };
  }
}

/** Comments nest. */
function commentEnd(sql: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 1;
  while (depth > 0) {
    const found = mark.exec(sql);
    if (!found) return sql.length;
    depth += found[0] === '/*' ? 1 : -1;
  }
  return mark.lastIndex;
}
