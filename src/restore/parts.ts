import { type Part, partOf } from '../capture/logical/part.ts';
import type { Archive, ArchiveEntry } from '../postgres/archive/entry.ts';
import { largeObjectBatches } from '../postgres/archive/largeObjects.ts';
import type { ListRef } from '../repository/format/chunkList.ts';
import { type PartRecord, refOf } from '../repository/manifest.ts';
import { readParts } from '../repository/read/parts.ts';
import type { SnapshotReader } from '../repository/read/reader.ts';
import type { LogicalManifest } from './manifest.ts';

/** A part of a logical snapshot, and where its bytes are. */
export type StoredPart = Part & ListRef;

export function storedPart(record: PartRecord): StoredPart {
  return { ...partOf(record), ...refOf(record) };
}

export async function readStoredParts(
  reader: SnapshotReader,
  manifest: LogicalManifest,
): Promise<StoredPart[]> {
  return (await readParts(reader, manifest)).map(storedPart);
}

/**
 * Which parts of a snapshot belong to an entry of its archive, in order: those of a TABLE DATA entry by its table, those
 * of a BLOBS entry by the batches of large objects. Undefined where the snapshot has none.
 */
export function partsByEntry<P extends Part>(
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
