import { faultError } from '../../base/errors.ts';
import { decodeChunkList } from '../../repository/format/chunkList.ts';
import { packName } from '../../repository/format/packName.ts';
import { openPack } from '../../repository/read/packDirectory.ts';
import type { StoredPart } from '../../restore/parts.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { OpenSnapshot } from '../open/openSnapshot.ts';

/** Above so many chunks (about 30 GB), reading every chunk list takes longer than anybody waits for an estimate. */
const CHUNKS_MAX = 5_000_000;
/** Packs whose directories tell the ratio then. */
const SAMPLED_PACKS = 32;

/** `segments`: from the chunk lists; `ratio`: from the plain bytes and how well a sample of the packs was compressed. */
export type StoredBytesBy = 'segments' | 'ratio';

/** Estimates what parts take in the storage. */
export interface StoredBytes {
  by: StoredBytesBy;
  of(parts: readonly StoredPart[]): Promise<number>;
}

/**
 * By segments, a table takes of each segment that its chunks lie in the share that they have of it; the result does not
 * depend on which snapshot stored them. What two tables share is counted for both; a chunk that a table has several times
 * in one segment may count several times, but never for more than the segment.
 */
export function storedBytes(snapshot: OpenSnapshot): StoredBytes {
  return snapshot.manifest.counts.chunks <= CHUNKS_MAX ? bySegments(snapshot) : byRatio(snapshot);
}

interface Size {
  storedBytes: number;
  plainBytes: number;
}

function bySegments({ repository, manifest, reader }: OpenSnapshot): StoredBytes {
  const { storage, keys } = repository;
  const byName = new Map(manifest.packs.map(pack => [packName(pack[0], pack[1]), pack]));
  const known = new Map<string, Promise<Size[]>>();
  const sizes = (pack: string) => {
    let found = known.get(pack);
    if (!found) {
      const listed = byName.get(pack);
      found = listed
        ? openPack(storage, keys, manifest, listed).then(({ segments }) => segments)
        : Promise.resolve([]);
      known.set(pack, found);
    }
    return found;
  };
  return {
    by: 'segments',
    async of(parts) {
      const used = new Map<string, Map<number, number>>();
      for (const part of parts) {
        const list = decodeChunkList(await reader.encodedList(part), 'a part');
        const packs = list.packs.map(({ session, number }) => segmentsOf(used, packName(session, number)));
        for (let i = 0; i < list.count; i++) {
          const segments = packs[list.pack[i]!]!;
          const segment = list.segment[i]!;
          segments.set(segment, (segments.get(segment) ?? 0) + list.length[i]!);
        }
      }
      let total = 0;
      for (const [pack, segments] of used) {
        const inPack = await sizes(pack);
        for (const [segment, bytes] of segments) total += share(bytes, inPack[segment], pack);
      }
      return Math.round(total);
    },
  };
}

function segmentsOf(used: Map<string, Map<number, number>>, pack: string): Map<number, number> {
  const found = used.get(pack) ?? new Map<number, number>();
  used.set(pack, found);
  return found;
}

function share(bytes: number, size: Size | undefined, pack: string): number {
  if (size) return Math.min(1, bytes / Math.max(1, size.plainBytes)) * size.storedBytes;
  const hint = DAMAGE_HINT;
  throw faultError('PLACE_WRONG', `packs/${pack} lacks a segment that the snapshot names`, hint);
}

function byRatio({ repository, manifest }: OpenSnapshot): StoredBytes {
  const { storage, keys } = repository;
  const ratio = (async () => {
    const step = Math.max(1, Math.floor(manifest.packs.length / SAMPLED_PACKS));
    let [stored, plain] = [0, 0];
    for (const pack of manifest.packs.filter((_, i) => i % step === 0)) {
      for (const segment of (await openPack(storage, keys, manifest, pack)).segments) {
        stored += segment.storedBytes;
        plain += segment.plainBytes;
      }
    }
    return stored / Math.max(1, plain);
  })();
  ratio.catch(() => {}); // it is waited for below
  return {
    by: 'ratio',
    of: async parts => Math.round(parts.reduce((sum, part) => sum + part.bytes, 0) * (await ratio)),
  };
}
