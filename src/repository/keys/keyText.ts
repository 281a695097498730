import { createHash, randomBytes } from 'node:crypto';
import { usageError } from '../../base/errors.ts';

export const KEY_TEXT = 'tidemark-key-1';

export const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

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
export const MISREAD: Record<string, string> = { 0: 'o', 1: 'l', 8: 'b' };

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

export function checksum(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
