/**
 * Rows of the catalogs that all databases of a server share. Their texts have no encoding of their own: they are the bytes
 * of whichever database they were written in, and another one may not even be able to convert them.
 */
import { decodeText } from './encoding.ts';
import type { Row, Session } from './session.ts';

/** The rows of a query without parameters, each text decoded from the bytes that are stored. */
export async function querySharedCatalogs(
  session: Session,
  sql: string,
  decode: (bytes: Buffer) => string,
): Promise<Row[]> {
  await session.run("SET client_encoding = 'SQL_ASCII'");
  const rows = await session.query(
    `select pg_catalog.encode(pg_catalog.textsend(pg_catalog.row_to_json(shared)::pg_catalog.text), 'hex') as row from (${sql}\n) as shared`,
  );
  await session.run("SET client_encoding = 'UTF8'");
  return rows.map(({ row }) => {
    const bytes = JSON.parse(Buffer.from(row!, 'hex').toString('latin1')) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, asText(value, decode)]));
  });
}

/** UTF-8 where it can be, else as in a database of that encoding. */
export function decodeShared(bytes: Buffer, encoding: string): string {
  const text = decodeText(bytes, 'UTF8');
  return text.isWellFormed() ? text : decodeText(bytes, encoding);
}

/** As the server prints it; what is JSON itself stays JSON. */
function asText(value: unknown, decode: (bytes: Buffer) => string): string | null {
  if (value === null) return null;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value === 'string') return decode(Buffer.from(value, 'latin1'));
  if (typeof value === 'number') return String(value);
  return JSON.stringify(value, (_key, each) =>
    typeof each === 'string' ? decode(Buffer.from(each, 'latin1')) : each,
  );
}
