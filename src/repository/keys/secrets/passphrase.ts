import { scrypt } from 'node:crypto';
import { faultError, type TidemarkError, usageError } from '../../../base/errors.ts';
import { DAMAGE_HINT } from '../../../storage/damage.ts';

/** How a passphrase becomes a key (docs/format.md, "Slots"). */
export interface Kdf {
  name: 'scrypt';
  N: number;
  r: number;
  p: number;
  salt: string;
}

export const SCRYPT = { name: 'scrypt' as const, N: 2 ** 17, r: 8, p: 1 };
const SCRYPT_MAX_N = 2 ** 20;

/** The key of a slot of the kind passphrase. */
export async function passphraseKey(secret: { text: string; where: string }, kdf: Kdf): Promise<Buffer> {
  const { N, r, p } = kdf;
  // Whoever owns the storage could else make us take any time and memory: N × r × 128 bytes, which is 1 GiB at the most.
  const bearable = N >= 2 && N <= SCRYPT_MAX_N && (N & (N - 1)) === 0 && r >= 1 && p >= 1 && p <= 16;
  if (!bearable || N * r > SCRYPT_MAX_N * SCRYPT.r) {
    throw damaged(`a key slot asks for scrypt N=${N} r=${r} p=${p}, which no tidemark writes`);
  }
  const text = secret.text.normalize('NFKC');
  if (text === '') {
    const hint = 'set it to the passphrase of the repository';
    throw usageError('KEY_EMPTY', `the passphrase in ${secret.where} is empty`, hint);
  }
  return new Promise((resolve, reject) => {
    const options = { N, r, p, maxmem: 256 * N * r };
    try {
      scrypt(text, Buffer.from(kdf.salt, 'base64'), 32, options, (error, key) =>
        error ? reject(damaged('the kdf of a key slot cannot be computed', error)) : resolve(key),
      );
    } catch (error) {
      reject(damaged('the kdf of a key slot is invalid', error));
    }
  });
}

function damaged(what: string, cause?: unknown): TidemarkError {
  return faultError('KEY_SLOT_DAMAGED', what, DAMAGE_HINT, cause);
}
