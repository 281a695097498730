import type { PutOptions, Storage } from '../../storage/storage.ts';
import { packName } from '../format/packName.ts';
import type { PackContent } from '../storagePolicy.ts';

/** Bytes of packs that may wait in memory, being filled or on their way to the storage. */
const BUFFERED_BYTES = 64 << 20;

/**
 * Gathers the pieces of packs and stores each when it is whole. `drained` is what bounds memory: writers wait for it
 * before they hand over more.
 */
export class PackAssembler {
  readonly sizes = new Map<number, number>();
  #storedBytes = 0;
  readonly #storage: Storage;
  readonly #session: string;
  readonly #options: (content: PackContent) => PutOptions;
  readonly #open = new Map<number, Buffer[]>();
  readonly #puts = new Set<Promise<void>>();
  #buffered = 0;
  #failure: unknown;
  #waiters: (() => void)[] = [];

  /** @param options how packs are put, by what they hold. */
  constructor(storage: Storage, session: string, options: (content: PackContent) => PutOptions = () => ({})) {
    this.#storage = storage;
    this.#session = session;
    this.#options = options;
  }

  /** Bytes of all packs stored so far. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  piece(pack: number, bytes: Buffer): void {
    const pieces = this.#open.get(pack);
    if (pieces) pieces.push(bytes);
    else this.#open.set(pack, [bytes]);
    this.#buffered += bytes.length;
  }

  end(pack: number, sizeBytes: number, content: PackContent): void {
    const pieces = this.#open.get(pack) ?? [];
    this.#open.delete(pack);
    const put = this.#put(pack, pieces, sizeBytes, content).finally(() => {
      this.#puts.delete(put);
      this.#buffered -= sizeBytes;
      for (const wake of this.#waiters.splice(0)) wake();
    });
    this.#puts.add(put);
  }

  async #put(pack: number, pieces: Buffer[], sizeBytes: number, content: PackContent): Promise<void> {
    try {
      const name = `packs/${packName(this.#session, pack)}`;
      await this.#storage.put(name, pieces, this.#options(content));
      this.sizes.set(pack, sizeBytes);
      this.#storedBytes += sizeBytes;
    } catch (error) {
      this.#failure ??= error;
    }
  }

  /** Resolves when there is room for more; rejects if a pack could not be stored. */
  async drained(): Promise<void> {
    while (this.#failure === undefined && this.#buffered > BUFFERED_BYTES && this.#puts.size > 0) {
      await new Promise<void>(wake => this.#waiters.push(wake));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when every pack handed over is stored. */
  async finish(): Promise<void> {
    while (this.#puts.size > 0) await Promise.all(this.#puts);
    if (this.#failure !== undefined) throw this.#failure;
  }
}
