/**
 * SQL identifiers and literals, spelled as pg_dump spells them: an identifier is quoted only where it must be, so that
 * what we write can be compared line by line with what stock pg_restore writes.
 */

/**
 * Keywords that can't stand as a bare name everywhere: pg_get_keywords() without category U, PostgreSQL 15, and what 16
 * to 19 added. A word too many is only quoted for nothing.
 */
const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast
  char character check coalesce collate collation column concurrently constraint create cross current_catalog
  current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable
  desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group
  grouping having ilike in initially inner inout int integer intersect interval into is isnull join lateral leading
  least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric
  offset on only or order out outer overlaps overlay placing position precision primary real references returning right
  row select session_user setof similar smallint some substring symmetric table tablesample then time timestamp to
  trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes
  xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
  system_user json_array json_arrayagg json_object json_objectagg json json_exists json_query json_scalar
  json_serialize json_table json_value merge_action graph_table`.split(/\s+/),
);

/** A name as SQL: bare where PostgreSQL's fmtId leaves it bare, else in double quotes. */
export function quoteIdentifier(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

/** `schema.name`, or the name alone where there is no schema. */
export function quoteQualified(schema: string | null, name: string): string {
  return schema ? `${quoteIdentifier(schema)}.${quoteIdentifier(name)}` : quoteIdentifier(name);
}

/**
 * Reads `a."b c".d` at a place in a text: its parts, unquoted, and the place after it. Null where no name stands there.
 * Unquoted names come as they are written; pg_dump writes them in lower case.
 */
export function readQualified(sql: string, start: number): { parts: string[]; end: number } | null {
  const name = /"((?:[^"]|"")*)"|([^\s".,;:()'[\]]+)/y;
  const parts: string[] = [];
  let at = start;
  for (;;) {
    name.lastIndex = at;
    const match = name.exec(sql);
    if (!match) return null;
    parts.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : match[2]!);
    at = name.lastIndex;
    if (sql[at] !== '.') return { parts, end: at };
    at++;
  }
}
