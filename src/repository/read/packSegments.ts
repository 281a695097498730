import type { Storage } from '../../storage/storage.ts';
import { openDirectory, PACK_TRAILER_BYTES, type PlacedSegment, parseTrailer } from '../format/pack.ts';
import { packName } from '../format/packName.ts';
import type { RepositoryKeys } from '../keys/keys.ts';
import type { Manifest } from '../manifest.ts';

/** Read at the end of a pack in one go: trailer and, nearly always, the whole directory. */
const TAIL_BYTES = 8192;

/** The segments of one pack of a snapshot, as its directory lists them; nothing of their content is read. */
export async function readPackSegments(
  storage: Storage,
  keys: RepositoryKeys,
  manifest: Pick<Manifest, 'sessions' | 'epochs'>,
  [session, number, sizeBytes]: Manifest['packs'][number],
): Promise<PlacedSegment[]> {
  const name = `packs/${packName(session, number)}`;
  const salt = Buffer.from(manifest.sessions[session] ?? '', 'hex');
  const key = keys.of(manifest, session).pack(session, number, salt);
  const end = async (bytes: number) => {
    const length = Math.min(bytes, sizeBytes);
    return storage.get(name, { offset: sizeBytes - length, length });
  };
  let tail = await end(TAIL_BYTES);
  const { storedBytes, plainBytes } = parseTrailer(tail, name);
  const needed = storedBytes + PACK_TRAILER_BYTES;
  if (needed > tail.length) tail = await end(needed);
  const sealed = tail.subarray(Math.max(0, tail.length - needed), tail.length - PACK_TRAILER_BYTES);
  return openDirectory(key, sealed, plainBytes, sizeBytes, name);
}
