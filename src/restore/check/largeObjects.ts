import type { Part } from '../../capture/logical/part.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { largeObjectBatches } from '../../postgres/archive/largeObjects.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { ObjectDifference } from './compare.ts';

/** Whether the large objects of the entries' batches are as long as the snapshot's, without reading them. */
export async function compareLargeObjectSizes(
  session: Session,
  archive: Archive,
  entries: readonly ArchiveEntry[],
  parts: readonly Part[],
): Promise<ObjectDifference[]> {
  const restored = new Set(entries.filter(entry => entry.desc === 'BLOBS').map(entry => entry.dumpId));
  const batches = restored.size > 0 ? largeObjectBatches(archive) : [];
  const differences: ObjectDifference[] = [];
  for (const part of parts) {
    const batch = part.kind === 'largeObjects' ? batches[part.from] : undefined;
    if (!batch || !restored.has(batch.entry.dumpId)) continue;
    await session.run('BEGIN READ ONLY');
    const [row] = await session.query(sqlFile('large_object_sizes'), [`{${batch.oids.join(',')}}`]);
    await session.run('COMMIT');
    if (Number(row!.rows) === part.rows && Number(row!.bytes) === part.bytes) continue;
    differences.push({
      kind: 'different',
      object: `large objects ${batch.oids[0]} to ${batch.oids.at(-1)}`,
      expected: `${part.rows} pieces, ${part.bytes} bytes of text`,
      found: `${row!.rows} pieces, ${row!.bytes} bytes of text`,
    });
  }
  return differences;
}
