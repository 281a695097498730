import { hash, randomBytes } from 'node:crypto';
import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import { ID_BYTES } from '../format/chunkList.ts';
import { CHUNK_MAX_BYTES } from '../format/cut.ts';
import type { EpochKeys } from '../keys/keys.ts';
import type { Repository } from '../repository.ts';
import { type PackContent, putOptions } from '../storagePolicy.ts';
import { ChunkWriter } from '../write/chunkWriter.ts';
import { PackAssembler } from '../write/packAssembler.ts';
import type { OwnPacks } from '../write/packTable.ts';
import { PackWriter, SEGMENT_BYTES } from '../write/packWriter.ts';

const KEY_BYTES = 32;

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
  id: Buffer;
}

/** Fills segments with chunks that were cut before. */
export class ChunkCopier {
  readonly #packs: PackWriter;
  readonly #idKey: Buffer;
  readonly #buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES + CHUNK_MAX_BYTES + KEY_BYTES);
  #at = 0;

  constructor(packs: PackWriter, keys: EpochKeys) {
    this.#packs = packs;
    this.#idKey = keys.chunkIdKey();
  }

  /**
   * Takes a chunk if it is the one that was stored.
   *
   * @param id its first 16 bytes, made with `idKey`; CHUNK_WRONG, naming `where`, if it is another chunk's.
   */
  copy(chunk: Uint8Array, id: Uint8Array, idKey: Buffer, where: string): CopiedChunk {
    const buffer = this.#buffer;
    const start = this.#at;
    const end = start + chunk.length;
    if (chunk.length > CHUNK_MAX_BYTES) throw wrongChunk(where);
    buffer.set(chunk, start);
    // The key stands behind the chunk while it is hashed.
    const idWith = (key: Buffer) => {
      key.copy(buffer, end);
      return hash('sha256', buffer.subarray(start, end + KEY_BYTES), 'buffer').subarray(0, ID_BYTES);
    };
    if (!idWith(idKey).equals(id)) throw wrongChunk(where);
    const own = idWith(this.#idKey);
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
