import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { encodingStatement } from '../../postgres/archive/statements.ts';
import { encodeText } from '../../postgres/encoding.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import type { Session } from '../../postgres/session.ts';
import { isExtensionComment } from '../profile.ts';

const COMMENTS = `select extname as name, pg_catalog.obj_description(oid, 'pg_extension') as comment from pg_catalog.pg_extension`;

/**
 * Comments on extensions, which only their owners may change: pg_dump writes one for each, though nearly all have the
 * comment that they came with. Resolves to the extensions whose comment is another one than the archive's.
 */
export async function commentExtensions(
  session: Session,
  archive: Archive,
  entries: readonly ArchiveEntry[],
): Promise<string[]> {
  const comments = entries.filter(isExtensionComment);
  if (comments.length === 0) return [];
  const present = new Map((await session.query(COMMENTS)).map(row => [row.name!, row.comment]));
  await session.run(encodingStatement(archive));
  const different: string[] = [];
  for (const { tag, defn } of comments) {
    const name = tag.slice('EXTENSION '.length);
    const wanted = / IS '((?:[^']|'')*)';\s*$/.exec(defn ?? '')?.[1]?.replaceAll("''", "'");
    if (wanted !== undefined && present.get(name) === wanted) continue;
    try {
      await session.run(encodeText(defn ?? '', archive.text));
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      different.push(name);
    }
  }
  await session.run("SET client_encoding = 'UTF8'");
  return different;
}
