import { ahead } from '../../base/ahead.ts';
import { ID_BYTES, idAt } from '../format/chunkId.ts';
import { type ChunkList, ChunkListBuilder, decodeChunkList, type ListRef } from '../format/chunkList.ts';
import type { Manifest } from '../manifest.ts';
import type { IdentifiedPlace } from '../read/packContents.ts';
import { readParts } from '../read/parts.ts';
import { type PackTable, SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import { isLoss } from '../rewrite/rewrite.ts';
import { ChunkIndex } from '../write/chunkIndex.ts';

/** Lists that were looked through, by where they lie: snapshots share them. Of more, some are looked through twice. */
const LISTS_KNOWN_MAX = 500_000;
const LISTS_AHEAD = 8;

/** Where the same chunk lies too, and a manifest that tells how to read there. */
export interface OtherPlace {
  table: PackTable;
  chunk: ChunkList;
}

/**
 * Other places of chunks that are lost where they lay: the same bytes have the same id in the whole repository, and a backup
 * or a heal that came after the damage has stored them anew. What bounds memory: some 600 bytes a chunk that is lost.
 */
export class OtherPlaces {
  readonly #lost = new ChunkListBuilder();
  #index = new ChunkIndex([]);
  readonly #places: (OtherPlace | undefined)[] = [];
  #missing = 0;

  /** One that is lost. */
  add([session, number]: readonly [string, number, ...unknown[]], chunk: IdentifiedPlace): void {
    this.#lost.add(session, number, chunk.segment, chunk.offset, chunk.length, chunk.id);
  }

  /** Undefined where it was found nowhere. */
  find(id: string): OtherPlace | undefined {
    const found = this.#index.find(id);
    return found === -1 ? undefined : this.#places[found];
  }

  /**
   * Goes through the lists of these snapshots, the newest first, until all are found.
   *
   * @param readable whether the right bytes can be had there; where they can't, it goes on looking.
   */
  async search(
    repository: Repository,
    names: readonly string[],
    readable: (place: OtherPlace) => Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<void> {
    this.#index = new ChunkIndex([decodeChunkList(this.#lost.encode(), 'what is lost')]);
    this.#missing = this.#lost.count;
    const known = new Set<string>();
    for await (const manifest of repository.read([...names].reverse(), { damaged() {} })) {
      if (this.#missing === 0) return;
      signal?.throwIfAborted();
      const { sessions, epochs, packs } = manifest;
      const table = { sessions, epochs, packs };
      for await (const list of listsOf(repository, manifest, known)) await this.#take(table, list, readable);
    }
  }

  async #take(
    table: PackTable,
    list: ChunkList,
    readable: (place: OtherPlace) => Promise<boolean>,
  ): Promise<void> {
    for (let i = 0; i < list.count; i++) {
      const found = this.#index.find(idAt(list.ids, i));
      if (found === -1 || this.#places[found]) continue;
      const place = { table, chunk: oneOf(list, i) };
      if (!(await readable(place))) continue;
      this.#places[found] = place;
      this.#missing--;
    }
  }
}

/** The list of one chunk of a list. */
export function oneOf(list: ChunkList, i: number): ChunkList {
  return {
    packs: [list.packs[list.pack[i]!]!],
    count: 1,
    pack: Int32Array.of(0),
    segment: list.segment.slice(i, i + 1),
    offset: list.offset.slice(i, i + 1),
    length: list.length.slice(i, i + 1),
    ids: Buffer.from(list.ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)),
  };
}

/** All chunk lists of a snapshot that can be read, but for those that are known by now. */
async function* listsOf(
  { storage, keys }: Repository,
  manifest: Manifest,
  known: Set<string>,
): AsyncGenerator<ChunkList> {
  const reader = new SnapshotReader(storage, keys, manifest, { verifyIds: true });
  const parts = await readParts(reader, manifest).catch(unlessLost);
  const fresh: ListRef[] = [];
  for (const ref of [...Object.values(manifest.streams), ...(parts ?? [])]) {
    const key = 'at' in ref ? ref.at.join(' ') : undefined;
    if (key !== undefined && known.has(key)) continue;
    if (key !== undefined && known.size < LISTS_KNOWN_MAX) known.add(key);
    fresh.push(ref);
  }
  const read = (ref: ListRef) => reader.list(ref, `snapshot ${manifest.snapshot}`).catch(unlessLost);
  for await (const list of ahead(fresh, LISTS_AHEAD, read)) if (list) yield list;
}

function unlessLost(error: unknown): undefined {
  if (!isLoss(error)) throw error;
}
