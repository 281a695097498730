/** A repository for the tests of this folder, and ways to write to it and read back. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { LocalStorage } from '../../storage/local/storage.ts';
import { decodeChunkList } from '../format/chunkList.ts';
import { RepositoryKeys } from '../keys/keys.ts';
import { newSessionId } from '../manifest.ts';
import { type PackTable, SnapshotReader } from '../read/reader.ts';
import { ChunkIndex } from '../write/chunkIndex.ts';
import { ChunkWriter, type PreviousStream, type WrittenStream } from '../write/chunkWriter.ts';
import { PackAssembler } from '../write/packAssembler.ts';
import { PackWriter } from '../write/packWriter.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-repository-'));
  folders.push(folder);
  return folder;
}

/** A storage with keys, to which sessions write one after another. */
export class Sample {
  readonly storage = new LocalStorage(newFolder());
  readonly keys = new RepositoryKeys([randomBytes(32)], randomBytes(16).toString('hex'));
  readonly table: PackTable = { sessions: {}, packs: [] };

  /** Writes streams in a session of their own. */
  async write(work: (writer: ChunkWriter) => void): Promise<void> {
    const session = newSessionId(new Date());
    const sessionSalt = randomBytes(16);
    const assembler = new PackAssembler(this.storage, session);
    let packs = 0;
    const writer = new ChunkWriter(
      new PackWriter({
        keys: this.keys.current,
        session,
        sessionSalt,
        level: 1,
        content: 'any',
        nextPack: () => ++packs,
        output: assembler,
      }),
    );
    work(writer);
    writer.flush();
    await assembler.finish();
    this.table.sessions[session] = sessionSalt.toString('hex');
    for (const [number, size] of assembler.sizes) this.table.packs.push([session, number, size]);
  }

  async writeRows(rows: readonly Uint8Array[], previous?: PreviousStream): Promise<WrittenStream> {
    let written: WrittenStream | undefined;
    await this.write(writer => {
      written = appendRows(writer, rows, previous);
    });
    return written!;
  }

  reader(): SnapshotReader {
    return new SnapshotReader(this.storage, this.keys, this.table, { verifyIds: true });
  }

  async read({ ref }: WrittenStream): Promise<Buffer> {
    return this.reader().whole(ref, 'the stream');
  }

  async previous({ ref }: WrittenStream): Promise<PreviousStream> {
    const encoded = await this.reader().encodedList(ref);
    return { index: new ChunkIndex([decodeChunkList(encoded, 'the stream')]), same: { encoded, ref } };
  }
}

export function appendRows(
  writer: ChunkWriter,
  rows: readonly Uint8Array[],
  previous?: PreviousStream,
): WrittenStream {
  writer.begin(previous);
  for (const row of rows) {
    writer.append(row, 0, row.length);
    writer.endRow();
  }
  const written = writer.finish('rows');
  assert.equal(written.rows, rows.length);
  return written;
}

/** Numbers from 0 to below 1 that follow from the seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Rows as of a table: a number, words, a time. */
export function tableRows(count: number, seed: number): Buffer[] {
  const next = random(seed);
  return Array.from({ length: count }, (_, i) => {
    const words = Array.from({ length: 1 + next() * 12 }, () => (next() * 2 ** 32).toString(36)).join(' ');
    return Buffer.from(`${i}\t${words}\t2026-11-${10 + Math.floor(next() * 20)}\n`);
  });
}
