import { isMissing } from '../../storage/object.ts';
import type { Storage } from '../../storage/storage.ts';
import { openDirectory, PACK_HEADER_BYTES, type PlacedSegment, parsePackHeader } from '../format/pack.ts';
import { type PackRef, packName } from '../format/packName.ts';
import { MAX_SEGMENT_BYTES, openSegment, type SegmentKind } from '../format/seal.ts';
import { epochOf, type RepositoryKeys } from '../keys/keys.ts';
import type { Manifest } from '../manifest.ts';
import { isLoss } from '../rewrite/rewrite.ts';
import { PACK_BYTES } from '../write/packWriter.ts';
import { Salvage } from './salvage.ts';

/** No pack is longer; of an object that is, the rest is not looked at. */
const READ_MAX_BYTES = PACK_BYTES + MAX_SEGMENT_BYTES;

/** A damaged pack, and where its bytes may lie. */
export interface DamagedPack {
  ref: PackRef;
  /** Of its session. */
  salt: string;
  epoch: number;
  /** Objects: its own, and damaged ones whose header says that they are this pack. */
  objects: string[];
}

/** What of a damaged pack can be proved to be what was stored. */
export class PackRescue {
  readonly #copies: Copy[];

  private constructor(copies: Copy[]) {
    this.#copies = copies;
  }

  /** Reads the pack whole, from wherever it may lie: some 20 MiB in memory. */
  static async open(storage: Storage, keys: RepositoryKeys, pack: DamagedPack): Promise<PackRescue> {
    const [session, number, sizeBytes] = pack.ref;
    const key = keys.at(pack.epoch).pack(session, number, Buffer.from(pack.salt, 'hex'));
    const copies: Copy[] = [];
    for (const object of pack.objects) {
      const bytes = await readAsFarAsItGoes(storage, object);
      if (bytes) copies.push(new Copy(bytes, key, sizeBytes, object));
    }
    return new PackRescue(copies);
  }

  /** Undefined where it is lost. Ask in the order of the segments; `leastBytes` as `Salvage` has it. */
  segment(index: number, kind: SegmentKind, leastBytes: number): Buffer | undefined {
    for (const copy of this.#copies) {
      const content = copy.segment(index, kind, leastBytes);
      if (content) return content;
    }
    return undefined;
  }
}

/** One object that has, or should have, the pack's bytes. */
class Copy {
  readonly #bytes: Buffer;
  readonly #key: Buffer;
  readonly #object: string;
  readonly #placed: PlacedSegment[];
  readonly #salvage: Salvage;

  constructor(bytes: Buffer, key: Buffer, sizeBytes: number, object: string) {
    this.#bytes = bytes;
    this.#key = key;
    this.#object = object;
    this.#placed = directoryOf(bytes, key, sizeBytes, object);
    this.#salvage = new Salvage(bytes, key, object);
  }

  segment(index: number, kind: SegmentKind, leastBytes: number): Buffer | undefined {
    const placed = this.#placed[index];
    if (placed?.kind === kind) {
      const { offset, storedBytes, plainBytes } = placed;
      try {
        const sealed = this.#bytes.subarray(offset, offset + storedBytes);
        return openSegment(this.#key, index, kind, sealed, plainBytes, this.#object);
      } catch {
        // It may lie elsewhere in the object.
      }
    }
    return this.#salvage.segment(index, kind, leastBytes);
  }
}

/** Nothing where it can't be read. Behind the pack there may be bytes that are none of it. */
function directoryOf(bytes: Buffer, key: Buffer, sizeBytes: number, object: string): PlacedSegment[] {
  try {
    const pack = bytes.subarray(0, sizeBytes);
    return openDirectory(key, pack, pack.length, object);
  } catch {
    return [];
  }
}

/**
 * Damaged packs that can be looked into. One object may have got another's name: who is what, the headers say.
 *
 * @param names of damaged packs, as `packName` makes them.
 */
export async function findDamaged(
  storage: Storage,
  manifests: Iterable<Pick<Manifest, 'packs' | 'sessions' | 'epochs'>>,
  names: ReadonlySet<string>,
): Promise<Map<string, DamagedPack>> {
  const found = new Map<string, DamagedPack>();
  const sessions = new Map<string, string>();
  for (const manifest of manifests) {
    for (const ref of manifest.packs) {
      const [session, number] = ref;
      const name = packName(session, number);
      if (!names.has(name) || found.has(name)) continue;
      const salt = manifest.sessions[session] ?? '';
      sessions.set(salt, session);
      found.set(name, { ref, salt, epoch: epochOf(manifest, session), objects: [`packs/${name}`] });
    }
  }
  for (const name of found.keys()) {
    const object = `packs/${name}`;
    const said = await headerOf(storage, object);
    const named = said && packName(sessions.get(said.salt.toString('hex')) ?? '', said.number);
    if (named && named !== name) found.get(named)?.objects.push(object);
  }
  return found;
}

async function headerOf(
  storage: Storage,
  object: string,
): Promise<{ number: number; salt: Buffer } | undefined> {
  try {
    return parsePackHeader(await storage.get(object, { offset: 0, length: PACK_HEADER_BYTES }), object);
  } catch (error) {
    if (isLoss(error)) return undefined;
    throw error;
  }
}

async function readAsFarAsItGoes(storage: Storage, object: string): Promise<Buffer | undefined> {
  const there = await storage.stat(object);
  if (!there) return undefined;
  try {
    return await storage.get(object, { offset: 0, length: Math.min(there.sizeBytes, READ_MAX_BYTES) });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
