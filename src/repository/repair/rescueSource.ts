import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import { ChunkHasher, idAt, isSameId } from '../format/chunkId.ts';
import { type ChunkList, decodeChunkList, type ListRef } from '../format/chunkList.ts';
import { type PackRef, packName } from '../format/packName.ts';
import { SEGMENT_KIND, type SegmentKind } from '../format/seal.ts';
import type { Manifest } from '../manifest.ts';
import type { IdentifiedPlace } from '../read/packContents.ts';
import { type PackTable, SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import { isLoss, type RewriteSource } from '../rewrite/rewrite.ts';
import { type OtherPlace, type OtherPlaces, oneOf } from './otherPlaces.ts';
import { type DamagedPack, PackRescue } from './packRescue.ts';

/** Damaged packs held in memory, whole. */
const PACKS_HELD = 3;
/** Readers of what lies elsewhere; each holds a few segments. */
const READERS_HELD = 2;

type Table = Pick<Manifest, 'sessions' | 'epochs'>;

/**
 * Where a rewriting reads what lies in damaged packs: from what is left of them, and else from the same chunks' other places.
 * Each chunk is held against its id.
 */
export class RescueSource implements RewriteSource {
  readonly lossy = true;
  readonly #repository: Repository;
  readonly #damaged: ReadonlyMap<string, DamagedPack>;
  readonly #others: OtherPlaces;
  readonly #held = new Map<string, Promise<PackRescue>>();
  readonly #readers = new Map<PackTable, SnapshotReader>();

  constructor(repository: Repository, damaged: ReadonlyMap<string, DamagedPack>, others: OtherPlaces) {
    this.#repository = repository;
    this.#damaged = damaged;
    this.#others = others;
  }

  open(manifest: Manifest): Pick<SnapshotReader, 'encodedList' | 'whole'> {
    const { storage, keys } = this.#repository;
    const reader = new SnapshotReader(storage, keys, manifest, { verifyIds: true });
    const encodedList = async (ref: ListRef) => {
      const [session, number, segment] = 'at' in ref ? ref.at : ['', 0, 0];
      const name = packName(session, number);
      if (!this.#damaged.has(name)) return reader.encodedList(ref);
      const list = await this.segment(name, segment, SEGMENT_KIND.list, 0);
      if (list) return list;
      throw lost(`segment ${segment} of packs/${name}`);
    };
    const whole = async (ref: ListRef, where: string) =>
      this.#whole(reader, manifest, decodeChunkList(await encodedList(ref), where), where);
    return { encodedList, whole };
  }

  /** A segment of a damaged pack; undefined where it is lost. */
  async segment(
    name: string,
    index: number,
    kind: SegmentKind,
    leastBytes: number,
  ): Promise<Buffer | undefined> {
    return (await this.#rescue(name)).segment(index, kind, leastBytes);
  }

  #rescue(name: string): Promise<PackRescue> {
    let rescue = this.#held.get(name);
    if (rescue) this.#held.delete(name);
    else {
      const { storage, keys } = this.#repository;
      rescue = PackRescue.open(storage, keys, this.#damaged.get(name)!);
      rescue.catch(() => this.#held.delete(name));
    }
    this.#held.set(name, rescue);
    if (this.#held.size > PACKS_HELD) this.#held.delete(this.#held.keys().next().value!);
    return rescue;
  }

  /** A short stream, chunk by chunk: its packs may be damaged or not. */
  async #whole(reader: SnapshotReader, manifest: Manifest, list: ChunkList, where: string): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let i = 0; i < list.count; i++) {
      const { session, number } = list.packs[list.pack[i]!]!;
      const one = oneOf(list, i);
      const damaged = this.#damaged.get(packName(session, number));
      const chunk = damaged ? await this.#chunk(manifest, damaged.ref, one) : await readOne(reader, one);
      if (!chunk) throw lost(where);
      pieces.push(Buffer.from(chunk));
    }
    return Buffer.concat(pieces);
  }

  async #chunk(table: Table, pack: PackRef, { segment, offset, length, ids }: ChunkList) {
    const place = {
      segment: segment[0]!,
      offset: offset[0]!,
      length: length[0]!,
      content: 'any',
      id: idAt(ids, 0),
    } as const;
    for await (const chunk of this.chunks(table, pack, [place])) return chunk;
    return undefined;
  }

  /** Of a damaged pack. */
  async *chunks(
    table: Table,
    pack: PackRef,
    chunks: readonly IdentifiedPlace[],
  ): AsyncGenerator<Buffer | undefined> {
    const hasher = this.#hasherOf(table, pack[0]);
    const name = packName(pack[0], pack[1]);
    for (let from = 0; from < chunks.length; ) {
      const { segment } = chunks[from]!;
      let to = from;
      while (chunks[to]?.segment === segment) to++;
      const some = chunks.slice(from, to);
      const leastBytes = Math.max(...some.map(({ offset, length }) => offset + length));
      const content = await this.segment(name, segment, SEGMENT_KIND.data, leastBytes);
      for (const place of some) yield proved(content, place, hasher) ?? (await this.#elsewhere(place.id));
      from = to;
    }
  }

  async #elsewhere(id: string): Promise<Buffer | undefined> {
    const other = this.#others.find(id);
    return other && this.at(other);
  }

  /** A chunk where it lies too; undefined where its bytes can't be had there. */
  async at({ table, chunk }: OtherPlace): Promise<Buffer | undefined> {
    const { session, number } = chunk.packs[0]!;
    const name = packName(session, number);
    if (!this.#damaged.has(name)) return readOne(this.#readerOf(table), chunk);
    const place = { offset: chunk.offset[0]!, length: chunk.length[0]!, id: idAt(chunk.ids, 0) };
    const leastBytes = place.offset + place.length;
    const content = await this.segment(name, chunk.segment[0]!, SEGMENT_KIND.data, leastBytes);
    return proved(content, place, this.#hasherOf(table, session));
  }

  #hasherOf(table: Table, session: string): ChunkHasher {
    return new ChunkHasher(this.#repository.keys.of(table, session).chunkIdKey());
  }

  #readerOf(table: PackTable): SnapshotReader {
    let reader = this.#readers.get(table);
    if (!reader) {
      const { storage, keys } = this.#repository;
      reader = new SnapshotReader(storage, keys, table, { verifyIds: true });
      this.#readers.set(table, reader);
      if (this.#readers.size > READERS_HELD) this.#readers.delete(this.#readers.keys().next().value!);
    }
    return reader;
  }
}

/** Undefined where it is lost. */
async function readOne(reader: SnapshotReader, one: ChunkList): Promise<Buffer | undefined> {
  try {
    for await (const chunk of reader.stream(one, 'a chunk')) return chunk;
  } catch (error) {
    if (!isLoss(error)) throw error;
  }
  return undefined;
}

/** A chunk of a segment; undefined where its bytes are not those of its id. */
function proved(
  content: Buffer | undefined,
  { offset, length, id }: Pick<IdentifiedPlace, 'offset' | 'length' | 'id'>,
  hasher: ChunkHasher,
): Buffer | undefined {
  if (!content || offset + length > content.length) return undefined;
  if (!isSameId(hasher.within(content, offset, offset + length), id)) return undefined;
  return content.subarray(offset, offset + length);
}

function lost(where: string): Error {
  return faultError('LOST', `${where} can't be read`, DAMAGE_HINT);
}
