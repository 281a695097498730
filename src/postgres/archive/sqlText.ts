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
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(sql); token; token = TOKEN.exec(sql)) {
    if (token[0] === '/*') TOKEN.lastIndex = commentEnd(sql, TOKEN.lastIndex);
    if (token[0] !== ';') continue;
    let end = TOKEN.lastIndex;
    while (end < sql.length && /\s/.test(sql[end]!)) end++;
    pieces.push(sql.slice(from, end));
    from = end;
    TOKEN.lastIndex = end;
  }
  if (from < sql.length) pieces.push(sql.slice(from));
  return pieces;
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
