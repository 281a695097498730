import { randomBytes } from 'node:crypto';
import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import { ChunkHasher, ID_KEY_BYTES, isSameId } from '../format/chunkId.ts';
import { CHUNK_MAX_BYTES } from '../format/cut.ts';
import type { EpochKeys } from '../keys/keys.ts';
import type { Repository } from '../repository.ts';
import { type PackContent, putOptions } from '../storagePolicy.ts';
import { ChunkWriter } from '../write/chunkWriter.ts';
import { PackAssembler } from '../write/packAssembler.ts';
import type { OwnPacks } from '../write/packTable.ts';
import { PackWriter, SEGMENT_BYTES } from '../write/packWriter.ts';

/** The packs that a rewriting of places writes: chunks as they are, chunk lists, lists of parts. */
export class RewriteSession {
  readonly id: string;
  readonly keys: EpochKeys;
  readonly #salt = randomBytes(16);
  readonly #assembler: PackAssembler;
  readonly #plainBytes = new Map<number, number>();
  readonly #writers: Record<PackContent, ChunkCopier>;
  readonly #streams: ChunkWriter;
  readonly #lists: PackWriter;
  #packs = 0;

  /** `id`: its lease has been taken. `level`: of zstd. */
  constructor(repository: Repository, id: string, level: number) {
    this.id = id;
    this.keys = repository.keys.current;
    this.#assembler = new PackAssembler(repository.storage, id, content =>
      putOptions(repository.policy, content),
    );
    const writer = (content: PackContent) =>
      new PackWriter({
        ...{ keys: this.keys, session: id, sessionSalt: this.#salt, level, content },
        nextPack: () => ++this.#packs,
        output: {
          piece: (pack, bytes) => this.#assembler.piece(pack, bytes),
          end: (pack, sizeBytes, of, plainBytes) => {
            this.#plainBytes.set(pack, plainBytes);
            this.#assembler.end(pack, sizeBytes, of);
          },
        },
      });
    const any = new ChunkCopier(writer('any'), this.keys);
    const alone = repository.policy.storageClass !== null;
    this.#writers = { any, rows: alone ? new ChunkCopier(writer('rows'), this.keys) : any };
    this.#lists = writer('any');
    this.#streams = new ChunkWriter(writer('any'));
  }

  /** Bytes of all packs stored so far. */
  get storedBytes(): number {
    return this.#assembler.storedBytes;
  }

  /** For streams that are written anew. */
  get streams(): ChunkWriter {
    return this.#streams;
  }

  addList(encoded: Buffer): { pack: number; segment: number } {
    return this.#lists.addList(encoded);
  }

  copier(content: PackContent): ChunkCopier {
    return this.#writers[content];
  }

  /** Resolves when there is room for more. */
  drained(): Promise<void> {
    return this.#assembler.drained();
  }

  /** Resolves when all that was written is stored. */
  async flush(): Promise<void> {
    for (const copier of Object.values(this.#writers)) copier.flush();
    this.#streams.flush();
    this.#lists.close();
    await this.#assembler.finish();
  }

  /** What manifests have to know of what has been stored. */
  get ownPacks(): OwnPacks {
    const { sizes } = this.#assembler;
    return {
      ...{ session: this.id, salt: this.#salt, epoch: this.keys.epoch, sizes },
      plainBytes: this.#plainBytes,
    };
  }
}

/** Where a chunk was written, and its id in the epoch of the session. */
export interface CopiedChunk {
  pack: number;
  segment: number;
  offset: number;
  id: string;
}

/** Fills segments with chunks that were cut before. */
export class ChunkCopier {
  readonly #packs: PackWriter;
  readonly #hasher: ChunkHasher;
  readonly #buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES + CHUNK_MAX_BYTES + ID_KEY_BYTES);
  #at = 0;

  constructor(packs: PackWriter, keys: EpochKeys) {
    this.#packs = packs;
    this.#hasher = new ChunkHasher(keys.chunkIdKey());
  }

  /**
   * Takes a chunk if it is the one that was stored.
   *
   * @param id as `hasher` makes it; CHUNK_WRONG, naming `where`, if it is another chunk's.
   */
  copy(chunk: Uint8Array, id: string, hasher: ChunkHasher, where: string): CopiedChunk {
    const buffer = this.#buffer;
    const start = this.#at;
    const end = start + chunk.length;
    if (chunk.length > CHUNK_MAX_BYTES) throw wrongChunk(where);
    buffer.set(chunk, start);
    if (!isSameId(hasher.last(buffer, start, end), id)) throw wrongChunk(where);
    const own = this.#hasher.last(buffer, start, end);
    const { pack, segment } = this.#packs.dataSegment();
    this.#at = end;
    if (end >= SEGMENT_BYTES) this.#seal();
    return { pack, segment, offset: start, id: own };
  }

  flush(): void {
    if (this.#at > 0) this.#seal();
    this.#packs.close();
  }

  #seal(): void {
    this.#packs.sealData(this.#buffer.subarray(0, this.#at));
    this.#at = 0;
  }
}

function wrongChunk(where: string): Error {
  return faultError('CHUNK_WRONG', `a chunk of ${where} is not the one that was stored`, DAMAGE_HINT);
}
