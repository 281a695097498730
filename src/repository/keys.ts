import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { TidemarkError, usageError } from '../base/errors.ts';
import { objectEpoch, openObject, sealBroken, sealObject } from './seal.ts';

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
    return this.at(table.epochs?.[session] ?? 0);
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

/** `20261121-095747000-3f9c2a7b/00000001`, as it stands under `packs/`. */
export function packName(session: string, number: number): string {
  return `${session}/${String(number).padStart(8, '0')}`;
}

const KEY_TEXT = 'tidemark-key-1';
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** A new key as text: what a key file or an environment variable holds. */
export function newKeyText(): string {
  return formatKeyText(randomBytes(32));
}

export function formatKeyText(key: Buffer): string {
  let bits = 0n;
  for (const byte of key) bits = (bits << 8n) | BigInt(byte);
  bits <<= 4n; // 256 bits in 52 characters of 5 bits
  let text = '';
  for (let i = 51n; i >= 0n; i--) text += BASE32[Number((bits >> (i * 5n)) & 31n)];
  return `${KEY_TEXT}:${text}:${checksum(key)}`;
}

/** Digits that the text of a key can't have, as somebody who copies it from paper may read its letters. */
const MISREAD: Record<string, string> = { 0: 'o', 1: 'l', 8: 'b' };

/**
 * Reads a key's text back, also as a person types it from paper, in groups and lines; a mistyped key is told from a wrong
 * one by its checksum.
 */
export function parseKeyText(text: string, where: string): Buffer {
  const [label, written, sum, ...rest] = text.replace(/\s+/g, '').toLowerCase().split(':');
  const body = written?.replace(/[018]/g, digit => MISREAD[digit]!);
  const hint =
    "a key looks like tidemark-key-1:52 letters and digits:8 digits; 'tidemark init' made it, the recovery kit shows it";
  if (label !== KEY_TEXT || !body || !sum || rest.length > 0 || !/^[a-z2-7]{52}$/.test(body)) {
    throw usageError('KEY_MALFORMED', `${where} holds no tidemark key`, hint);
  }
  let bits = 0n;
  for (const letter of body) bits = (bits << 5n) | BigInt(BASE32.indexOf(letter));
  const key = Buffer.from((bits >> 4n).toString(16).padStart(64, '0'), 'hex');
  if (checksum(key) !== sum || (bits & 15n) !== 0n) {
    throw usageError('KEY_MALFORMED', `the key in ${where} is mistyped: its checksum does not match`, hint);
  }
  return key;
}

function checksum(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
