import { hkdfSync } from 'node:crypto';
import { TidemarkError } from '../../base/errors.ts';
import { packName } from '../format/packName.ts';
import { objectEpoch, openObject, sealBroken, sealObject } from '../format/seal.ts';

/** The keys of one epoch, derived from its master key as docs/format.md ("Keys") says. */
export class EpochKeys {
  readonly epoch: number;
  readonly repositoryId: string;
  /** Only to be wrapped, or handed to a worker thread. */
  readonly master: Buffer;
  readonly #salt: Buffer;

  constructor(master: Buffer, repositoryId: string, epoch: number) {
    this.master = master;
    this.repositoryId = repositoryId;
    this.epoch = epoch;
    this.#salt = Buffer.from(repositoryId, 'hex');
  }

  chunkIdKey(): Buffer {
    return this.#derive(this.#salt, 'chunk id', 32);
  }

  /** The 256 numbers that decide where chunks end. */
  cutter(): Int32Array {
    const bytes = this.#derive(this.#salt, 'cutter', 1024);
    return Int32Array.from({ length: 256 }, (_, i) => bytes.readInt32LE(i * 4));
  }

  pack(session: string, number: number, sessionSalt: Buffer): Buffer {
    return this.#derive(sessionSalt, `pack ${packName(session, number)}`, 32);
  }

  object(name: string): Buffer {
    return this.#derive(this.#salt, `object ${name}`, 32);
  }

  /** Seals the master keys of the epochs before. */
  older(): Buffer {
    return this.#derive(this.#salt, 'older', 32);
  }

  mac(): Buffer {
    return this.#derive(this.#salt, 'mac', 32);
  }

  #derive(salt: Buffer, what: string, length: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.master, salt, `tidemark/1 ${what}`, length));
  }
}

/** The epochs of sessions, as manifests say them: those of epoch 0 are left out. */
export interface SessionEpochs {
  epochs?: Readonly<Record<string, number>>;
}

export function epochOf({ epochs }: SessionEpochs, session: string): number {
  return epochs?.[session] ?? 0;
}

/** Plain data, for worker threads: the master keys by epoch. */
export interface KeyRing {
  repositoryId: string;
  masters: Uint8Array[];
}

/** All keys that a secret gives: those of an epoch and of every one before it. */
export class RepositoryKeys {
  readonly repositoryId: string;
  readonly #epochs: EpochKeys[];
  readonly #barred: TidemarkError | undefined;

  /** `masters` by epoch, at least one. `barred` is why these keys must not be used to write, if they must not. */
  constructor(masters: readonly Uint8Array[], repositoryId: string, barred?: TidemarkError) {
    this.repositoryId = repositoryId;
    this.#epochs = masters.map((master, epoch) => new EpochKeys(Buffer.from(master), repositoryId, epoch));
    this.#barred = barred;
  }

  /** The newest epoch that these keys open; that of the repository, unless they are retired. */
  get newest(): number {
    return this.#epochs.length - 1;
  }

  /** The keys for what is written. @throws TidemarkError KEY_RETIRED where the repository has begun another epoch. */
  get current(): EpochKeys {
    if (this.#barred) throw this.#barred;
    return this.#epochs[this.newest]!;
  }

  /** @throws TidemarkError KEY_RETIRED or EPOCH_UNKNOWN for an epoch after those that these keys open. */
  at(epoch: number): EpochKeys {
    const keys = this.#epochs[epoch];
    if (keys) return keys;
    if (this.#barred) throw this.#barred;
    throw new TidemarkError(
      'EPOCH_UNKNOWN',
      `epoch ${epoch} of the repository began after this run had opened it`,
      'run the command again',
    );
  }

  /** The keys of a session that a snapshot refers to. */
  of(table: SessionEpochs, session: string): EpochKeys {
    return this.at(epochOf(table, session));
  }

  /** An object for the storage, under the newest epoch: JSON, compressed, bound to its name. */
  seal(name: string, value: unknown): Buffer {
    const keys = this.current;
    return sealObject(keys.object(name), value, keys.epoch);
  }

  /** What was sealed for this name, in whichever epoch; SEAL_BROKEN where it was changed or moved. */
  open(name: string, sealed: Buffer, where: string): unknown {
    const epoch = objectEpoch(sealed, where);
    // A number far off is none that a writer wrote.
    if (epoch > this.newest + 1 && !this.#barred) throw sealBroken(where);
    return openObject(this.at(epoch).object(name), sealed, where);
  }

  /** For worker threads only: the master keys themselves. */
  get ring(): KeyRing {
    return { repositoryId: this.repositoryId, masters: this.#epochs.map(each => each.master) };
  }

  static ofRing({ masters, repositoryId }: KeyRing): RepositoryKeys {
    return new RepositoryKeys(masters, repositoryId);
  }
}
