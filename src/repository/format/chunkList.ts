import { withRoom } from '../../base/growing.ts';
import { ID_BYTES } from './chunkId.ts';
import { damaged, VarintReader, VarintWriter } from './varint.ts';

/** Where one chunk lies. `pack` is an index into the list's packs. */
export interface ChunkList {
  packs: { session: string; number: number }[];
  count: number;
  /** Per chunk: pack, segment, offset in the segment's content, length. */
  pack: Int32Array;
  segment: Int32Array;
  offset: Int32Array;
  length: Int32Array;
  /** 16 bytes a chunk. */
  ids: Buffer;
}

/** Segments and offsets stand in 32-bit integers; no segment is near that long. */
const INT_MAX = 0x7fffffff;
/** A list this short stands in the parts stream or the manifest itself. */
export const INLINE_CHUNKS = 64;

/** Collects the chunks of a stream in order, in arrays that grow. */
export class ChunkListBuilder {
  readonly #packs: UsedPack[] = [];
  readonly #packIndex = new Map<string, number>();
  #count = 0;
  #numbers = new Int32Array(4 * 256);
  #ids = Buffer.alloc(ID_BYTES * 256);
  /** The last pack looked up, since neighbours nearly always share it. */
  #lastSession = '';
  #lastNumber = -1;
  #lastIndex = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds a chunk. */
  add(session: string, number: number, segment: number, offset: number, length: number, id: string): void {
    const at = this.#count * 4;
    this.#numbers = withRoom(this.#numbers, at + 4);
    this.#ids = withRoom(this.#ids, (this.#count + 1) * ID_BYTES);
    const numbers = this.#numbers;
    const pack = this.#packOf(session, number);
    numbers[at] = pack;
    numbers[at + 1] = segment;
    numbers[at + 2] = offset;
    numbers[at + 3] = length;
    const again =
      at > 0 && numbers[at - 4] === pack && numbers[at - 3] === segment && numbers[at - 2] === offset;
    if (!again) this.#packs[pack]![2] += length;
    this.#ids.write(id, this.#count * ID_BYTES, ID_BYTES, 'latin1');
    this.#count++;
  }

  #packOf(session: string, number: number): number {
    if (number === this.#lastNumber && session === this.#lastSession) return this.#lastIndex;
    const name = `${session}/${number}`;
    let index = this.#packIndex.get(name);
    if (index === undefined) {
      index = this.#packs.length;
      this.#packs.push([session, number, 0]);
      this.#packIndex.set(name, index);
    }
    this.#lastSession = session;
    this.#lastNumber = number;
    this.#lastIndex = index;
    return index;
  }

  /** As `usedPacks` has them. */
  get packs(): UsedPack[] {
    return this.#packs.map(([...pack]) => pack);
  }

  /** The list as docs/format.md ("Chunk lists") has it. */
  encode(): Buffer {
    const n = this.#numbers;
    const runs: number[][] = [];
    let run: number[] | undefined;
    let next = -1;
    for (let i = 0; i < this.#count * 4; i += 4) {
      if (run && run[0] === n[i] && run[1] === n[i + 1] && next === n[i + 2]) run[3]!++;
      else {
        run = [n[i]!, n[i + 1]!, n[i + 2]!, 1];
        runs.push(run);
      }
      next = n[i + 2]! + n[i + 3]!;
    }
    const out = new VarintWriter(64 + this.#packs.length * 40 + runs.length * 20 + this.#count * 5);
    out.byte(1);
    out.varint(this.#packs.length);
    for (const [session, number] of this.#packs) {
      out.text(session);
      out.varint(number);
    }
    out.varint(runs.length);
    for (const numbers of runs) for (const value of numbers) out.varint(value);
    for (let i = 0; i < this.#count; i++) out.varint(n[i * 4 + 3]!);
    return Buffer.concat([out.done(), this.#ids.subarray(0, this.#count * ID_BYTES)]);
  }
}

export function decodeChunkList(bytes: Buffer, where: string): ChunkList {
  const from = new VarintReader(bytes, where);
  if (from.byte() !== 1) throw damaged(where);
  const packs = Array.from({ length: from.count() }, () => ({ session: from.text(), number: from.varint() }));
  const runs = Array.from({ length: from.count() }, () => [
    from.varint(),
    from.varint(),
    from.varint(),
    from.varint(),
  ]);
  let count = 0;
  for (const run of runs) count += run[3]!;
  if (count * (ID_BYTES + 1) > bytes.length - from.at) throw damaged(where);
  for (const [, segment, offset] of runs) {
    if (segment! > INT_MAX || offset! > INT_MAX) throw damaged(where);
  }
  const list: ChunkList = {
    packs,
    count,
    pack: new Int32Array(count),
    segment: new Int32Array(count),
    offset: new Int32Array(count),
    length: new Int32Array(count),
    ids: Buffer.alloc(0),
  };
  let i = 0;
  for (const [pack, segment, start, length] of runs as [number, number, number, number][]) {
    if (pack >= packs.length) throw damaged(where);
    let offset = start;
    for (let k = 0; k < length; k++, i++) {
      list.pack[i] = pack;
      list.segment[i] = segment;
      list.offset[i] = offset;
      const bytes = from.varint();
      list.length[i] = bytes;
      offset += bytes;
      if (bytes === 0 || offset > INT_MAX) throw damaged(where);
    }
  }
  list.ids = from.rest();
  if (list.ids.length !== count * ID_BYTES) throw damaged(where);
  return list;
}

/** How long a list is that starts the bytes, whatever follows it; undefined where there is none. */
export function chunkListBytes(bytes: Buffer): number | undefined {
  const from = new VarintReader(bytes, 'a chunk list');
  try {
    if (from.byte() !== 1) return undefined;
    for (let packs = from.count(); packs > 0; packs--) {
      from.text();
      from.varint();
    }
    let chunks = 0;
    for (let runs = from.count(); runs > 0; runs--) {
      for (let i = 0; i < 3; i++) from.varint();
      chunks += from.varint();
    }
    if (chunks * (ID_BYTES + 1) > bytes.length - from.at) return undefined;
    for (let i = 0; i < chunks; i++) from.varint();
    const end = from.at + chunks * ID_BYTES;
    return end <= bytes.length ? end : undefined;
  } catch {
    return undefined;
  }
}

/** How a stream's chunk list is found again. */
export type ListRef = { list: string } | { at: [session: string, pack: number, segment: number] };

export type UsedPack = [session: string, number: number, usedBytes: number];

/** A list's packs, and the bytes of its chunks in each: one that follows itself, as of equal rows, counts once. */
export function usedPacks({ packs, count, pack, segment, offset, length }: ChunkList): UsedPack[] {
  const used = packs.map(({ session, number }): UsedPack => [session, number, 0]);
  for (let i = 0; i < count; i++) {
    const again =
      i > 0 && pack[i] === pack[i - 1] && segment[i] === segment[i - 1] && offset[i] === offset[i - 1];
    if (!again) used[pack[i]!]![2] += length[i]!;
  }
  return used;
}
