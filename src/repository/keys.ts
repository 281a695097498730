import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { usageError } from '../base/errors.ts';

/** All keys of a repository, derived from its master key as docs/format.md ("Keys") says. */
export class RepositoryKeys {
  readonly repositoryId: string;
  readonly #master: Buffer;
  readonly #salt: Buffer;

  constructor(master: Buffer, repositoryId: string) {
    this.#master = master;
    this.repositoryId = repositoryId;
    this.#salt = Buffer.from(repositoryId, 'hex');
  }

  /** For worker threads only: the master key itself. */
  get master(): Buffer {
    return this.#master;
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

  #derive(salt: Buffer, what: string, length: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#master, salt, `tidemark/1 ${what}`, length));
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

/** Reads a key's text back; a mistyped key is told from a wrong one by its checksum. */
export function parseKeyText(text: string, where: string): Buffer {
  const [label, body, sum, ...rest] = text.trim().toLowerCase().split(':');
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
