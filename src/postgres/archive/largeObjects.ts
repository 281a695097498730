import type { Archive, ArchiveEntry } from './entry.ts';
import { largeObjectsOf } from './statements.ts';

/** Large objects carried together. */
const OBJECTS_A_BATCH = 1000;

export interface LargeObjectBatch {
  /** The BLOBS entry whose data these objects are. */
  entry: ArchiveEntry;
  oids: string[];
}

/**
 * The large objects of an archive in batches, which follow from the archive alone: a batch's number is its name. Since
 * version 1.16 each BLOBS entry has the objects of the BLOB METADATA entry it depends on; before, the only one has all.
 */
export function largeObjectBatches(archive: Archive): LargeObjectBatch[] {
  const metadata = new Map<number, ArchiveEntry>();
  const single: string[] = [];
  for (const entry of archive.entries) {
    if (entry.desc === 'BLOB METADATA') metadata.set(entry.dumpId, entry);
    if (entry.desc === 'BLOB') single.push(...largeObjectsOf(entry));
  }
  const batches: LargeObjectBatch[] = [];
  for (const entry of archive.entries.filter(other => other.desc === 'BLOBS')) {
    const listed = entry.dependencies.flatMap(id =>
      metadata.has(id) ? largeObjectsOf(metadata.get(id)!) : [],
    );
    const oids = metadata.size > 0 ? listed : single;
    for (let at = 0; at < oids.length; at += OBJECTS_A_BATCH) {
      batches.push({ entry, oids: oids.slice(at, at + OBJECTS_A_BATCH) });
    }
  }
  return batches;
}
