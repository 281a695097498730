import { eachOf } from '../../base/ahead.ts';
import type { SftpChannel } from './channel.ts';

/** Bytes a request, and requests under way at once: together 2 MiB, what one SSH window of OpenSSH takes. */
const BLOCK_BYTES = 64 * 1024;
const REQUESTS_AT_ONCE = 32;

/** Writes a file from its start. */
export async function writeAll(
  channel: SftpChannel,
  handle: Buffer,
  data: readonly Uint8Array[],
): Promise<void> {
  let end = 0;
  await eachOf(blocks(data), REQUESTS_AT_ONCE, async block => {
    const position = end;
    end += block.length;
    await channel.write(handle, block, position);
  });
}

/** Fills the buffer from a position of the file. Returns how many bytes there were: fewer where the file ends. */
export async function readAll(
  channel: SftpChannel,
  handle: Buffer,
  into: Buffer,
  position: number,
): Promise<number> {
  let end = into.length;
  await eachOf(offsets(into.length), REQUESTS_AT_ONCE, async offset => {
    const last = Math.min(offset + BLOCK_BYTES, into.length);
    for (let at = offset; at < last; ) {
      const bytes = await channel.read(handle, into.subarray(at, last), position + at);
      if (bytes === 0) {
        end = Math.min(end, at);
        return;
      }
      at += bytes;
    }
  });
  return end;
}

/** Pieces as blocks of one size, but for the last; copied only where a block takes more than one piece. */
function* blocks(data: readonly Uint8Array[]): Iterable<Buffer> {
  let open: Buffer | undefined;
  let filled = 0;
  for (const piece of data) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let at = 0; at < bytes.length; ) {
      if (open === undefined && bytes.length - at >= BLOCK_BYTES) {
        yield bytes.subarray(at, at + BLOCK_BYTES);
        at += BLOCK_BYTES;
        continue;
      }
      open ??= Buffer.allocUnsafe(BLOCK_BYTES);
      const copied = bytes.copy(open, filled, at);
      at += copied;
      filled += copied;
      if (filled === BLOCK_BYTES) {
        yield open;
        open = undefined;
        filled = 0;
      }
    }
  }
  if (open) yield open.subarray(0, filled);
}

function* offsets(length: number): Iterable<number> {
  for (let offset = 0; offset < length; offset += BLOCK_BYTES) yield offset;
}
