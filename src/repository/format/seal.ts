import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { faultError, TidemarkError } from '../../base/errors.ts';
import { release } from '../../base/release.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';

/** Sealing of segments and objects, docs/format.md ("Segments", "Manifests"). */

export const SEGMENT_KIND = { data: 0, list: 1, directory: 2 } as const;
export type SegmentKind = (typeof SEGMENT_KIND)[keyof typeof SEGMENT_KIND];

/** The index of a pack's directory, which no data segment can have. */
export const DIRECTORY_INDEX = 0xffffffff;

/** No writer makes a segment longer than this; a reader refuses to be made to allocate more. */
export const MAX_SEGMENT_BYTES = 64 << 20;

/** zstd level of segments unless a plan says otherwise. */
export const DEFAULT_LEVEL = 3;

/**
 * Level 3 with tables that stay in a core's cache (docs/decisions/0001-segments-packs-levels.md). Any zstd reads the
 * result.
 */
const SMALL_TABLES = {
  [constants.ZSTD_c_hashLog]: 18,
  [constants.ZSTD_c_chainLog]: 15,
  [constants.ZSTD_c_minMatch]: 6,
};

const TAG_BYTES = 16;

/** Compresses and seals one segment. `content` is not kept. */
export function sealSegment(
  key: Buffer,
  index: number,
  kind: SegmentKind,
  content: Uint8Array,
  level: number,
): Buffer<ArrayBuffer> {
  if (content.length > MAX_SEGMENT_BYTES) throw tooLong(content.length);
  const compressed = zstdCompressSync(content, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      ...(level === DEFAULT_LEVEL ? SMALL_TABLES : {}),
      [constants.ZSTD_c_contentSizeFlag]: 1,
      [constants.ZSTD_c_checksumFlag]: 0, // the seal below is stronger
    },
    chunkSize: content.length + (content.length >> 6) + 1024, // room for all: zstd then works in one go
  });
  const stored = compressed.length < content.length;
  const body = stored ? compressed : content;
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index));
  cipher.setAAD(segmentLabel(kind, content.length));
  const sealed = Buffer.allocUnsafeSlow(1 + body.length + TAG_BYTES);
  cipher.update(Buffer.of(stored ? 1 : 0)).copy(sealed, 0);
  const encrypted = cipher.update(body);
  encrypted.copy(sealed, 1);
  cipher.final();
  cipher.getAuthTag().copy(sealed, 1 + body.length);
  release(encrypted);
  release(compressed);
  return sealed;
}

/** Opens a segment; anything changed, cut, or moved from its place is SEAL_BROKEN. */
export function openSegment(
  key: Buffer,
  index: number,
  kind: SegmentKind,
  sealed: Buffer,
  plainBytes: number,
  where: string,
): Buffer {
  if (sealed.length < 1 + TAG_BYTES || plainBytes > MAX_SEGMENT_BYTES) throw sealBroken(where);
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index));
  decipher.setAAD(segmentLabel(kind, plainBytes));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const body = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    const form = body[0]!;
    const content = form === 1 ? expand(body.subarray(1), plainBytes) : body.subarray(1);
    if (form === 1) release(body);
    if (form <= 1 && content.length === plainBytes) return content;
  } catch (error) {
    throw sealBroken(where, error);
  }
  throw sealBroken(where);
}

/** Room for more than is expected, so that zlib sees the end without asking for a second buffer. */
function expand(compressed: Buffer, plainBytes: number): Buffer {
  const room = plainBytes + 64;
  return zstdDecompressSync(compressed, { chunkSize: room, maxOutputLength: room });
}

/** Objects of epoch 0, and those of any other, which say it. */
const OBJECT_MAGIC = Buffer.from('TIDEOBJ1');
const EPOCH_MAGIC = Buffer.from('TIDEOBJ2');
const MAGIC_BYTES = 8;
const NONCE_BYTES = 12;

/** Seals a small object: JSON, compressed. */
export function sealObject(key: Buffer, value: unknown, epoch: number): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const number = Buffer.alloc(epoch === 0 ? 0 : 4);
  if (epoch > 0) number.writeUInt32LE(epoch);
  const head = Buffer.concat([epoch === 0 ? OBJECT_MAGIC : EPOCH_MAGIC, number, nonce]);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(head);
  const plain = zstdCompressSync(Buffer.from(JSON.stringify(value)), {
    params: { [constants.ZSTD_c_compressionLevel]: 9 },
  });
  return Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** The epoch whose key an object was sealed with, as it says itself. */
export function objectEpoch(sealed: Buffer, where: string): number {
  const magic = sealed.subarray(0, MAGIC_BYTES);
  if (magic.equals(OBJECT_MAGIC)) return 0;
  if (magic.equals(EPOCH_MAGIC) && sealed.length >= MAGIC_BYTES + 4) return sealed.readUInt32LE(MAGIC_BYTES);
  throw sealBroken(where);
}

export function openObject(key: Buffer, sealed: Buffer, where: string): unknown {
  const headBytes =
    MAGIC_BYTES + (sealed.subarray(0, MAGIC_BYTES).equals(OBJECT_MAGIC) ? 0 : 4) + NONCE_BYTES;
  if (sealed.length < headBytes + TAG_BYTES) throw sealBroken(where);
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(headBytes - NONCE_BYTES, headBytes));
  decipher.setAAD(sealed.subarray(0, headBytes));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const plain = Buffer.concat([
      decipher.update(sealed.subarray(headBytes, sealed.length - TAG_BYTES)),
      decipher.final(),
    ]);
    return JSON.parse(zstdDecompressSync(plain, { maxOutputLength: MAX_SEGMENT_BYTES }).toString('utf8'));
  } catch (error) {
    throw sealBroken(where, error);
  }
}

function nonceOf(index: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index >>> 0, 8);
  return nonce;
}

function segmentLabel(kind: SegmentKind, plainBytes: number): Buffer {
  const label = Buffer.from('TMS1\0\0\0\0\0', 'latin1');
  label[4] = kind;
  label.writeUInt32LE(plainBytes, 5);
  return label;
}

/** What no reader would open must not be written. */
function tooLong(sizeBytes: number): Error {
  return new TidemarkError(
    'SEGMENT_TOO_LONG',
    `a segment of ${sizeBytes} bytes is longer than a reader takes: a table is too large to be one part`,
    'leave the table out with --exclude-table, and report this',
  );
}

/** What was sealed is not what is there. */
export function sealBroken(where: string, cause?: unknown): Error {
  return faultError(
    'SEAL_BROKEN',
    `${where} is damaged: its seal does not match its bytes`,
    `the bytes changed after they were written; ${DAMAGE_HINT}`,
    cause,
  );
}
