import type { Storage } from '../../storage/storage.ts';
import { openDirectory, PACK_TRAILER_BYTES, type PlacedSegment, parseTrailer } from '../format/pack.ts';
import { type PackRef, packName } from '../format/packName.ts';
import type { RepositoryKeys } from '../keys/keys.ts';
import type { Manifest } from '../manifest.ts';

/** Read at the end of a pack in one go: trailer and, nearly always, the whole directory. */
const TAIL_BYTES = 8192;

/** What its segments are read by. */
export interface OpenPack {
  key: Buffer;
  segments: PlacedSegment[];
}

/** One pack of a snapshot, opened by its directory; nothing of its segments is read. */
export async function openPack(
  storage: Pick<Storage, 'get'>,
  keys: RepositoryKeys,
  table: Pick<Manifest, 'sessions' | 'epochs'>,
  [session, number, sizeBytes]: PackRef,
): Promise<OpenPack> {
  const name = `packs/${packName(session, number)}`;
  const salt = Buffer.from(table.sessions[session] ?? '', 'hex');
  const key = keys.of(table, session).pack(session, number, salt);
  const last = (bytes: number) => {
    const length = Math.min(bytes, sizeBytes);
    return storage.get(name, { offset: sizeBytes - length, length });
  };
  let end = await last(TAIL_BYTES);
  const needed = parseTrailer(end, name).storedBytes + PACK_TRAILER_BYTES;
  if (needed > end.length) end = await last(needed);
  return { key, segments: openDirectory(key, end, sizeBytes, name) };
}
