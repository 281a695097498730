import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { Storage } from '../../storage/storage.ts';
import { type PackRef, packName } from '../format/packName.ts';
import { openSegment, SEGMENT_KIND } from '../format/seal.ts';
import type { RepositoryKeys } from '../keys/keys.ts';
import type { Manifest } from '../manifest.ts';

import type { PackContent } from '../storagePolicy.ts';
import { openPack } from './packDirectory.ts';

/** Read along though nobody asked for it, where a second request would cost more. */
const GAP_BYTES = 1 << 20;

/**
 * Chunks of one pack, in the order in which they lie there: first by segment, then by offset. Their ids are for the caller
 * to check; a chunk is a view of its segment, to be used before the next is asked for.
 */
export async function* readChunks(
  storage: Storage,
  keys: RepositoryKeys,
  table: Pick<Manifest, 'sessions' | 'epochs'>,
  pack: PackRef,
  chunks: readonly ChunkPlace[],
): AsyncGenerator<Buffer> {
  const [session, number] = pack;
  const where = `packs/${packName(session, number)}`;
  const { key, segments: placed } = await openPack(storage, keys, table, pack);
  const wanted = [...new Set(chunks.map(chunk => chunk.segment))];
  let next = 0;
  for (const run of runsOf(wanted, segment => placed[segment] ?? fail(where))) {
    const { offset } = placed[run[0]!]!;
    const last = placed[run.at(-1)!]!;
    const bytes = await storage.get(where, { offset, length: last.offset + last.storedBytes - offset });
    for (const segment of run) {
      const { storedBytes, plainBytes, kind, offset: at } = placed[segment]!;
      if (kind !== SEGMENT_KIND.data) fail(where);
      const sealed = bytes.subarray(at - offset, at - offset + storedBytes);
      const content = openSegment(key, segment, kind, sealed, plainBytes, `segment ${segment} of ${where}`);
      for (; chunks[next]?.segment === segment; next++) {
        const { offset: from, length } = chunks[next]!;
        if (from + length > content.length) fail(where);
        yield content.subarray(from, from + length);
      }
    }
  }
}

/** Segments that are fetched with one request. */
function* runsOf(
  segments: readonly number[],
  placeOf: (segment: number) => { offset: number; storedBytes: number },
): Iterable<number[]> {
  let run: number[] = [];
  let end = 0;
  for (const segment of segments) {
    const { offset, storedBytes } = placeOf(segment);
    if (run.length > 0 && offset - end > GAP_BYTES) {
      yield run;
      run = [];
    }
    run.push(segment);
    end = offset + storedBytes;
  }
  if (run.length > 0) yield run;
}

function fail(where: string): never {
  throw faultError('PLACE_WRONG', `${where} lacks a chunk that a snapshot names`, DAMAGE_HINT);
}

export interface ChunkPlace {
  segment: number;
  offset: number;
  length: number;
  content: PackContent;
}

/** And what it is. */
export interface IdentifiedPlace extends ChunkPlace {
  id: string;
}
