/**
 * pg_dump's custom format: one file for pg_restore, with any of its options.
 *
 * Where the data of each table lies is known once it is written. In a file the table of contents is then written again
 * with the positions, so that pg_restore jumps to what it wants (--jobs, --table). In a pipe they stay unset, and
 * pg_restore reads through, as it does with a dump that came through a pipe.
 *
 * Source: PostgreSQL's src/bin/pg_dump/pg_backup_custom.c and compress_io.c.
 */
import { invariant } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { writeArchive } from '../../postgres/archive/write.ts';
import { through, zlibStream } from './compress.ts';
import { exportedArchive } from './entries.ts';
import type { ExportInput, FileFormat, FileSink } from './format.ts';
import { largeObjects } from './largeObjects.ts';
import { endedRows, gathered, rowsOf } from './rows.ts';

/** BLK_DATA and BLK_BLOBS. */
const TABLE_BLOCK = 1;
const LARGE_OBJECTS_BLOCK = 3;
/** A reader takes a block whole; small ones cost it time. */
const BLOCK_BYTES = 64 * 1024;

export const custom: FileFormat = {
  name: 'custom',
  summary: "pg_dump's custom format, for pg_restore",
  shape: 'file',
  async write(input, sink) {
    const archive = exportedArchive(input);
    const head = writeArchive(archive, { format: 'custom' });
    await sink.write(head);
    for (const entry of archive.entries) {
      if (!entry.hasData) continue;
      const position = BigInt(sink.position);
      await writeData(input, entry, sink);
      if (sink.seekable) entry.offset = { state: 'set', position };
    }
    if (!sink.seekable) return;
    const located = writeArchive(archive, { format: 'custom' });
    invariant(located.length === head.length, 'positions change no length');
    await sink.patch(0, located);
  },
};

async function writeData(input: ExportInput, entry: ArchiveEntry, sink: FileSink): Promise<void> {
  const isLargeObjects = entry.desc === 'BLOBS';
  await sink.write(Buffer.of(isLargeObjects ? LARGE_OBJECTS_BLOCK : TABLE_BLOCK));
  await sink.write(integer(entry.dumpId));
  if (!isLargeObjects) return writeBlocks(input, endedRows(input, entry), sink);
  for await (const { oid, bytes } of largeObjects(rowsOf(input, entry))) {
    // An OID is unsigned, the archive's integers are not.
    await sink.write(integer(Number(oid) | 0));
    await writeBlocks(input, bytes, sink);
  }
  await sink.write(integer(0));
}

/** Blocks, each after its length; the length 0 ends them. */
async function writeBlocks(input: ExportInput, bytes: AsyncIterable<Buffer>, sink: FileSink): Promise<void> {
  const stored = input.compression === 'none' ? bytes : through(bytes, zlibStream());
  for await (const block of gathered(stored, BLOCK_BYTES)) {
    await sink.write(integer(block.length));
    await sink.write(block);
  }
  await sink.write(integer(0));
}

/** WriteInt: a sign, then the magnitude, least byte first. */
function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}
