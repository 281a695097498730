/**
 * pg_dump's directory format, for pg_restore: toc.dat, a file of rows a table, one a large object.
 * Source: PostgreSQL's src/bin/pg_dump/pg_backup_directory.c.
 */
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { writeArchive } from '../../postgres/archive/write.ts';
import { gzipStream, through } from './compress.ts';
import { exportedArchive } from './entries.ts';
import type { ExportInput, FolderFormat, FolderSink } from './format.ts';
import { largeObjects } from './largeObjects.ts';
import { endedRows, rowsOf } from './rows.ts';

/** Since this version of archives large objects come in several groups, each with its own list. */
const MINOR_WITH_GROUPS = 16;

export const directory: FolderFormat = {
  name: 'directory',
  summary: "pg_dump's directory format, for pg_restore",
  shape: 'folder',
  async write(input, sink) {
    const archive = exportedArchive(input);
    const { minor } = archive.header.version;
    const fileName = (entry: ArchiveEntry) => {
      if (!entry.hasData) return '';
      if (entry.desc !== 'BLOBS') return `${entry.dumpId}.dat`;
      return minor >= MINOR_WITH_GROUPS ? `blobs_${entry.dumpId}.toc` : 'blobs.toc';
    };
    for (const entry of archive.entries) {
      if (!entry.hasData) continue;
      if (entry.desc === 'BLOBS') await writeLargeObjects(input, entry, fileName(entry), sink);
      else await writeStored(input, endedRows(input, entry), fileName(entry), sink);
    }
    await sink.file('toc.dat', file => file.write(writeArchive(archive, { format: 'directory', fileName })));
  },
};

/** The list names every object's file, so it has no compression of its own; pg_restore finds `.gz` by itself. */
async function writeLargeObjects(
  input: ExportInput,
  entry: ArchiveEntry,
  list: string,
  sink: FolderSink,
): Promise<void> {
  await sink.file(list, async file => {
    for await (const { oid, bytes } of largeObjects(rowsOf(input, entry))) {
      await writeStored(input, bytes, `blob_${oid}.dat`, sink);
      await file.write(Buffer.from(`${oid} blob_${oid}.dat\n`));
    }
  });
}

async function writeStored(
  input: ExportInput,
  bytes: AsyncIterable<Buffer>,
  name: string,
  sink: FolderSink,
): Promise<void> {
  const isPlain = input.compression === 'none';
  await sink.file(isPlain ? name : `${name}.gz`, async file => {
    const stored = isPlain ? bytes : through(bytes, gzipStream());
    for await (const block of stored) await file.write(block);
  });
}
