import { asTidemarkError, faultError } from '../../base/errors.ts';
import { release } from '../../base/release.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { Storage } from '../../storage/storage.ts';
import { ChunkHasher, isIdAt } from '../format/chunkId.ts';
import { decodeChunkList } from '../format/chunkList.ts';
import { openDirectory, type PlacedSegment, parsePackHeader } from '../format/pack.ts';
import { packName } from '../format/packName.ts';
import { openSegment, SEGMENT_KIND } from '../format/seal.ts';
import type { RepositoryKeys } from '../keys/keys.ts';
import { PLACE_NUMBERS, type Places } from './chunkPlaces.ts';
import { countLineEnds } from './lineCount.ts';

/** One pack to be checked as a whole. Owners are numbers that mean something to the caller: the streams that need it. */
export interface PackJob {
  session: string;
  number: number;
  /** The session's salt, 32 hexadecimal digits. */
  salt: string;
  epoch: number;
  sizeBytes: number;
  places: Places;
  /** Chunk lists that are to be found in the pack: segment and owner, two numbers each. */
  lists: Int32Array<ArrayBuffer>;
}

export interface PackFault {
  code: string;
  message: string;
  hint: string;
  /** It is about what is stored, not about reaching it. */
  lasting: boolean;
  /** How often the same was found elsewhere in the pack. */
  more: number;
  /** Streams that can't be read, or not as they were written, because of it. */
  owners: number[];
}

export interface PackFindings {
  faults: PackFault[];
  bytesRead: number;
  /** Owners of the places, and for each the line ends in its chunks here. */
  owners: number[];
  lineEnds: number[];
  /** Owners whose last chunk is here and does not end with a line end. */
  unended: number[];
}

/**
 * Reads a pack from its first byte to its last and checks all of it: the header, the directory, every segment, and every
 * chunk that is said to be in it. What is wrong is in the findings; this throws only for defects.
 */
export async function checkPack(storage: Storage, keys: RepositoryKeys, job: PackJob): Promise<PackFindings> {
  const check = new PackCheck(keys, job);
  const name = `packs/${packName(job.session, job.number)}`;
  try {
    const found = await storage.stat(name);
    const bytes = await storage.get(name, { offset: 0, length: job.sizeBytes });
    if (found && found.sizeBytes !== job.sizeBytes) check.lengthened(found.sizeBytes);
    check.whole(bytes);
    release(bytes);
  } catch (error) {
    check.fault(error, check.allOwners());
  }
  return check.findings();
}

class PackCheck {
  readonly #job: PackJob;
  readonly #where: string;
  readonly #key: Buffer;
  readonly #hasher: ChunkHasher;
  readonly #faults = new Map<string, PackFault & { all: Set<number> }>();
  readonly #lineEnds = new Map<number, number>();
  readonly #unended: number[] = [];
  #bytesRead = 0;

  constructor(keys: RepositoryKeys, job: PackJob) {
    this.#job = job;
    this.#where = `packs/${packName(job.session, job.number)}`;
    const own = keys.at(job.epoch);
    this.#key = own.pack(job.session, job.number, Buffer.from(job.salt, 'hex'));
    this.#hasher = new ChunkHasher(own.chunkIdKey());
  }

  findings(): PackFindings {
    return {
      faults: [...this.#faults.values()].map(({ all, ...fault }) => ({ ...fault, owners: [...all] })),
      bytesRead: this.#bytesRead,
      owners: [...this.#lineEnds.keys()],
      lineEnds: [...this.#lineEnds.values()],
      unended: this.#unended,
    };
  }

  fault(error: unknown, owners: Iterable<number>): void {
    const { code, message, hint, kind } = asTidemarkError(error);
    const known = this.#faults.get(code);
    if (known) known.more++;
    const lasting = kind === 'fault';
    const fault = known ?? { code, message, hint, lasting, more: 0, owners: [], all: new Set<number>() };
    for (const owner of owners) fault.all.add(owner);
    this.#faults.set(code, fault);
  }

  *allOwners(): Iterable<number> {
    const { places, lists } = this.#job;
    for (let i = 3; i < places.numbers.length; i += PLACE_NUMBERS) yield places.numbers[i]!;
    for (let i = 1; i < lists.length; i += 2) yield lists[i]!;
  }

  /** Bytes behind the trailer hurt no reader, who goes by the manifest; but they are not what was written. */
  lengthened(sizeBytes: number): void {
    this.fault(
      faultError(
        'PACK_SIZE',
        `${this.#where} has ${sizeBytes} bytes, ${this.#job.sizeBytes} were written`,
        DAMAGE_HINT,
      ),
      [],
    );
  }

  whole(bytes: Buffer): void {
    this.#bytesRead += bytes.length;
    try {
      this.#header(bytes);
    } catch (error) {
      this.fault(error, []); // the reader takes number and salt from elsewhere
    }
    const segments = openDirectory(this.#key, bytes, bytes.length, this.#where);
    const lists = this.#listsBySegment(segments);
    const { order, starts } = this.#placesBySegment(segments.length);
    for (const [index, placed] of segments.entries()) {
      const mine = order.subarray(starts[index]!, starts[index + 1]!);
      this.#segment(bytes, index, placed, mine, lists.get(index) ?? []);
    }
    this.#misplaced(order.subarray(starts[segments.length]!));
  }

  #header(bytes: Buffer): void {
    const { number, salt } = parsePackHeader(bytes, this.#where);
    if (number === this.#job.number && salt.toString('hex') === this.#job.salt) return;
    throw faultError(
      'PACK_HEADER',
      `the header of ${this.#where} names another pack or session`,
      DAMAGE_HINT,
    );
  }

  #listsBySegment(segments: PlacedSegment[]): Map<number, number[]> {
    const { lists } = this.#job;
    const found = new Map<number, number[]>();
    for (let i = 0; i < lists.length; i += 2) {
      const segment = lists[i]!;
      if (segments[segment]?.kind !== SEGMENT_KIND.list) this.#misplacedOwners([lists[i + 1]!]);
      else found.set(segment, [...(found.get(segment) ?? []), lists[i + 1]!]);
    }
    return found;
  }

  /** Places in order of their segment; those in segments that the pack doesn't have come last. */
  #placesBySegment(segments: number): { order: Int32Array; starts: Int32Array } {
    const { numbers } = this.#job.places;
    const starts = new Int32Array(segments + 2);
    const bucket = (at: number) => Math.min(numbers[at]!, segments);
    for (let i = 0; i < numbers.length; i += PLACE_NUMBERS) starts[bucket(i) + 1]!++;
    for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
    const next = starts.slice();
    const order = new Int32Array(numbers.length / PLACE_NUMBERS);
    for (let i = 0, place = 0; i < numbers.length; i += PLACE_NUMBERS, place++) {
      order[next[bucket(i)]!++] = place;
    }
    return { order, starts };
  }

  #segment(bytes: Buffer, index: number, placed: PlacedSegment, places: Int32Array, lists: number[]): void {
    const where = `segment ${index} of ${this.#where}`;
    const sealed = bytes.subarray(placed.offset, placed.offset + placed.storedBytes);
    try {
      const content = openSegment(this.#key, index, placed.kind, sealed, placed.plainBytes, where);
      if (placed.kind === SEGMENT_KIND.data) this.#chunks(content, places, where);
      else {
        this.#misplaced(places);
        decodeChunkList(content, where);
      }
      release(content);
    } catch (error) {
      this.fault(error, [...this.#ownersOf(places), ...lists]);
    }
  }

  /** Several streams may share a chunk: it is hashed once. */
  #chunks(content: Buffer, places: Int32Array, where: string): void {
    const { numbers, ids } = this.#job.places;
    const seen = new Map<number, Chunk>();
    for (const place of places) {
      const at = place * PLACE_NUMBERS;
      const offset = numbers[at + 1]!;
      const length = numbers[at + 2]!;
      const owner = numbers[at + 3]!;
      if (offset + length > content.length) {
        this.#misplacedOwners([owner]);
        continue;
      }
      const key = offset * 2 ** 26 + length;
      let chunk = seen.get(key);
      if (!chunk) {
        chunk = readChunk(content, offset, offset + length, this.#hasher);
        seen.set(key, chunk);
      }
      if (!isIdAt(ids, place, chunk.id)) this.fault(wrongChunk(where, offset), [owner]);
      this.#lineEnds.set(owner, (this.#lineEnds.get(owner) ?? 0) + chunk.lineEnds);
      if (numbers[at + 4] === 1 && !chunk.ended) this.#unended.push(owner);
    }
  }

  #misplaced(places: Int32Array): void {
    if (places.length > 0) this.#misplacedOwners(this.#ownersOf(places));
  }

  #misplacedOwners(owners: number[]): void {
    this.fault(
      faultError('PLACE_WRONG', `${this.#where} does not hold what a chunk list says it holds`, DAMAGE_HINT),
      owners,
    );
  }

  #ownersOf(places: Int32Array): number[] {
    const owners = new Set<number>();
    for (const place of places) owners.add(this.#job.places.numbers[place * PLACE_NUMBERS + 3]!);
    return [...owners];
  }
}

interface Chunk {
  id: string;
  lineEnds: number;
  /** Whether its last byte is a line end. */
  ended: boolean;
}

function readChunk(content: Buffer, from: number, to: number, hasher: ChunkHasher): Chunk {
  const id = hasher.within(content, from, to);
  return { id, lineEnds: countLineEnds(content, from, to), ended: content[to - 1] === 0x0a };
}

function wrongChunk(where: string, offset: number): Error {
  return faultError(
    'CHUNK_WRONG',
    `the chunk at byte ${offset} of ${where} is not the one that was stored`,
    DAMAGE_HINT,
  );
}
