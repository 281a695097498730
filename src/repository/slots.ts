import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from 'node:crypto';
import { faultError, type TidemarkError, usageError } from '../base/errors.ts';
import { parseKeyText } from './keys.ts';

/** What opens a repository: the text of a key, or a passphrase; `where` names its source in errors. */
export type Secret =
  | { kind: 'key'; text: string; where: string }
  | { kind: 'passphrase'; text: string; where: string };

/** `keys/<slot>.json`: the master key wrapped by one secret (docs/format.md, "Keys"). */
export interface KeySlot {
  tidemark: 'key';
  format: 1;
  slot: string;
  kind: 'key' | 'passphrase';
  kdf?: { name: 'scrypt'; N: number; r: number; p: number; salt: string };
  nonce: string;
  wrapped: string;
}

const SCRYPT = { N: 2 ** 17, r: 8, p: 1 };
const SCRYPT_MAX_N = 2 ** 20;
const NONCE_BYTES = 12;
const WRAPPED_BYTES = 48;

/** An object that is not encrypted, as it is written. */
export function plainObject(value: object): Buffer {
  return Buffer.from(JSON.stringify(value, null, 2) + '\n');
}

export function parseObject(bytes: Buffer, where: string): Record<string, unknown> {
  let cause: unknown;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    cause = error;
  }
  throw faultError(
    'OBJECT_DAMAGED',
    `${where} is not a JSON object`,
    'restore the object from another copy',
    cause,
  );
}

/** A key slot whose fields have the form they must have; whether it is whole only its secret can tell. */
export function parseSlot(bytes: Buffer, where: string): KeySlot {
  const slot = parseObject(bytes, where) as unknown as KeySlot;
  const { kdf } = slot;
  const formed =
    slot.tidemark === 'key' &&
    slot.format === 1 &&
    typeof slot.slot === 'string' &&
    (slot.kind === 'key' || (slot.kind === 'passphrase' && typeof kdf?.salt === 'string')) &&
    decoded(slot.nonce)?.length === NONCE_BYTES &&
    decoded(slot.wrapped)?.length === WRAPPED_BYTES &&
    (kdf === undefined || (kdf.name === 'scrypt' && decoded(kdf.salt) !== undefined));
  if (formed) return slot;
  throw slotDamaged(`${where} is not a key slot`);
}

/** Base64 in its one proper form: a changed character must not be skipped over. */
function decoded(text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function slotDamaged(what: string, cause?: unknown): TidemarkError {
  return faultError('KEY_SLOT_DAMAGED', what, 'restore the object from another copy', cause);
}

/** Wraps the master key for one secret. */
export async function wrapKey(
  master: Buffer,
  repositoryId: string,
  slot: string,
  secret: Secret,
): Promise<KeySlot> {
  const kdf =
    secret.kind === 'passphrase'
      ? { name: 'scrypt' as const, ...SCRYPT, salt: randomBytes(16).toString('base64') }
      : undefined;
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', await slotKey(secret, repositoryId, kdf), nonce);
  cipher.setAAD(boundTo(repositoryId, slot));
  const wrapped = Buffer.concat([cipher.update(master), cipher.final(), cipher.getAuthTag()]);
  return {
    tidemark: 'key',
    format: 1,
    slot,
    kind: secret.kind,
    kdf,
    nonce: nonce.toString('base64'),
    wrapped: wrapped.toString('base64'),
  };
}

/** The master key, or undefined if this secret does not open this slot. */
export async function unwrapKey(
  slot: KeySlot,
  repositoryId: string,
  secret: Secret,
): Promise<Buffer | undefined> {
  if (slot.kind !== secret.kind) return undefined;
  const wrapped = Buffer.from(slot.wrapped, 'base64');
  const key = await slotKey(secret, repositoryId, slot.kdf);
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(slot.nonce, 'base64'));
  decipher.setAAD(boundTo(repositoryId, slot.slot));
  decipher.setAuthTag(wrapped.subarray(32));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(0, 32)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function boundTo(repositoryId: string, slot: string): Buffer {
  return Buffer.from(`tidemark/1 key ${repositoryId} ${slot}`);
}

async function slotKey(secret: Secret, repositoryId: string, kdf: KeySlot['kdf']): Promise<Buffer> {
  if (secret.kind === 'key') {
    const key = parseKeyText(secret.text, secret.where);
    return Buffer.from(hkdfSync('sha256', key, Buffer.from(repositoryId, 'hex'), 'tidemark/1 slot', 32));
  }
  if (!kdf) throw slotDamaged('a passphrase slot has no kdf');
  const { N, r, p } = kdf;
  // Whoever owns the storage could else make us take any time and memory: N × r × 128 bytes, which is 1 GiB at the most.
  const bearable = N >= 2 && N <= SCRYPT_MAX_N && (N & (N - 1)) === 0 && r >= 1 && p >= 1 && p <= 16;
  if (!bearable || N * r > SCRYPT_MAX_N * SCRYPT.r) {
    throw slotDamaged(`a key slot asks for scrypt N=${N} r=${r} p=${p}, which no tidemark writes`);
  }
  const text = secret.text.normalize('NFKC');
  if (text === '')
    throw usageError(
      'KEY_EMPTY',
      `the passphrase in ${secret.where} is empty`,
      'set it to the passphrase of the repository',
    );
  return new Promise((resolve, reject) => {
    const options = { N, r, p, maxmem: 256 * N * r };
    try {
      scrypt(text, Buffer.from(kdf.salt, 'base64'), 32, options, (error, key) =>
        error ? reject(slotDamaged('the kdf of a key slot cannot be computed', error)) : resolve(key),
      );
    } catch (error) {
      reject(slotDamaged('the kdf of a key slot is invalid', error));
    }
  });
}
