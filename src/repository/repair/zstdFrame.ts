/** Where a zstd frame ends and what it expands to, without expanding it: RFC 8878, sections 3.1.1.1 and 3.1.1.2. */

export const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const RAW_OR_COMPRESSED = new Set([0, 2]);
const RLE = 1;

export interface FrameExtent {
  /** Of the frame, its magic number included. */
  bytes: number;
  plainBytes: number;
}

/**
 * The frame that starts the bytes. Undefined where there is none that says its content's size.
 *
 * @returns `cut` where the bytes end before the frame does.
 */
export function frameExtent(bytes: Buffer): FrameExtent | 'cut' | undefined {
  if (bytes.length < ZSTD_MAGIC.length + 1) return 'cut';
  if (!bytes.subarray(0, ZSTD_MAGIC.length).equals(ZSTD_MAGIC)) return undefined;
  const descriptor = bytes[4]!;
  const single = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  let at = 5 + (single ? 0 : 1) + DICTIONARY_ID_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3];
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
  if (sizeBytes === 0) return undefined;
  if (at + sizeBytes > bytes.length) return 'cut';
  const size = sizeBytes === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUIntLE(at, sizeBytes);
  at += sizeBytes;
  for (let last = false; !last; ) {
    if (at + 3 > bytes.length) return 'cut';
    const header = bytes.readUIntLE(at, 3);
    last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === RLE) at += 4;
    else if (RAW_OR_COMPRESSED.has(type)) at += 3 + (header >> 3);
    else return undefined;
  }
  if (hasChecksum) at += 4;
  if (at > bytes.length) return 'cut';
  return { bytes: at, plainBytes: sizeBytes === 2 ? size + 256 : size };
}
