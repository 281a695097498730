import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import { DIRECTORY_INDEX, openSegment, SEGMENT_KIND, type SegmentKind, sealSegment } from './seal.ts';
import { VarintReader, VarintWriter } from './varint.ts';

/** The layout of a pack, docs/format.md ("Packs"). */

export const PACK_HEADER_BYTES = 32;
export const PACK_TRAILER_BYTES = 16;
const HEADER_MAGIC = 'TIDEPACK';
const TRAILER_MAGIC = 'TIDEEND1';
const VERSION = 1;

export interface DirectoryEntry {
  storedBytes: number;
  plainBytes: number;
  kind: SegmentKind;
}

export interface PlacedSegment extends DirectoryEntry {
  offset: number;
}

export function packHeader(number: number, sessionSalt: Buffer): Buffer {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  header.write(HEADER_MAGIC, 0, 'latin1');
  header.writeUInt32LE(VERSION, 8);
  header.writeUInt32LE(number, 12);
  sessionSalt.copy(header, 16);
  return header;
}

export function parsePackHeader(bytes: Buffer, where: string): { number: number; salt: Buffer } {
  if (bytes.length < PACK_HEADER_BYTES || bytes.toString('latin1', 0, 8) !== HEADER_MAGIC)
    throw notAPack(where);
  if (bytes.readUInt32LE(8) !== VERSION) {
    throw faultError(
      'FORMAT_TOO_NEW',
      `${where} has pack version ${bytes.readUInt32LE(8)}`,
      'use a newer tidemark',
    );
  }
  return { number: bytes.readUInt32LE(12), salt: Buffer.from(bytes.subarray(16, 32)) };
}

/** Directory and trailer of a pack with these segments. */
export function packTail(key: Buffer, entries: readonly DirectoryEntry[]): Buffer {
  const out = new VarintWriter(entries.length * 10 + 16);
  out.varint(entries.length);
  for (const entry of entries) {
    out.varint(entry.storedBytes);
    out.varint(entry.plainBytes);
    out.byte(entry.kind);
  }
  const content = out.done();
  const directory = sealSegment(key, DIRECTORY_INDEX, SEGMENT_KIND.directory, content, 3);
  const trailer = Buffer.alloc(PACK_TRAILER_BYTES);
  trailer.writeUInt32LE(directory.length, 0);
  trailer.writeUInt32LE(content.length, 4);
  trailer.write(TRAILER_MAGIC, 8, 'latin1');
  return Buffer.concat([directory, trailer]);
}

/** Stored and plain length of the directory, from the last bytes of a pack. */
export function parseTrailer(end: Buffer, where: string): { storedBytes: number; plainBytes: number } {
  const at = end.length - PACK_TRAILER_BYTES;
  if (at < 0 || end.toString('latin1', at + 8) !== TRAILER_MAGIC) throw notAPack(where);
  return { storedBytes: end.readUInt32LE(at), plainBytes: end.readUInt32LE(at + 4) };
}

/** The segments of a pack of `sizeBytes`, each with its place. `end`: its last bytes with the whole directory, or all of them. */
export function openDirectory(key: Buffer, end: Buffer, sizeBytes: number, where: string): PlacedSegment[] {
  const { storedBytes: sealedBytes, plainBytes } = parseTrailer(end, where);
  const to = end.length - PACK_TRAILER_BYTES;
  if (sealedBytes > to) throw notAPack(where);
  const sealed = end.subarray(to - sealedBytes, to);
  const from = new VarintReader(
    openSegment(
      key,
      DIRECTORY_INDEX,
      SEGMENT_KIND.directory,
      sealed,
      plainBytes,
      `the directory of ${where}`,
    ),
    where,
  );
  let offset = PACK_HEADER_BYTES;
  const segments = Array.from({ length: from.count() }, () => {
    const storedBytes = from.varint();
    const placed = { offset, storedBytes, plainBytes: from.varint(), kind: from.byte() as SegmentKind };
    if (placed.kind !== SEGMENT_KIND.data && placed.kind !== SEGMENT_KIND.list) throw notAPack(where);
    offset += storedBytes;
    return placed;
  });
  if (from.rest().length > 0 || offset + sealed.length + PACK_TRAILER_BYTES !== sizeBytes)
    throw notAPack(where);
  return segments;
}

function notAPack(where: string): Error {
  return faultError(
    'PACK_DAMAGED',
    `${where} is not a whole pack`,
    `the object was cut or overwritten; ${DAMAGE_HINT}`,
  );
}
