import type { Part } from '../capture/part.ts';
import type { Archive, ArchiveEntry } from '../postgres/archive/entry.ts';
import { largeObjectBatches } from '../postgres/archive/largeObjects.ts';

/**
 * Which parts of a snapshot belong to an entry of its archive, in order: those of a TABLE DATA entry by its table, those
 * of a BLOBS entry by the batches of large objects. Undefined where the snapshot has none.
 */
export function partsByEntry<P extends Part & { oid: string }>(
  archive: Archive,
  parts: readonly P[],
): (entry: ArchiveEntry) => P[] | undefined {
  const batches = largeObjectBatches(archive);
  const found = new Map<string, P[]>();
  for (const part of parts) {
    const key = part.kind === 'rows' ? `rows ${part.oid}` : `blobs ${batches[part.from]?.entry.dumpId}`;
    const known = found.get(key);
    if (known) known.push(part);
    else found.set(key, [part]);
  }
  return entry => found.get(entry.desc === 'BLOBS' ? `blobs ${entry.dumpId}` : `rows ${entry.oid}`);
}
