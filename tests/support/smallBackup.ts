import { createHash, hash, randomBytes } from 'node:crypto';
import { decodeChunkList } from '../../src/repository/format/chunkList.ts';
import { packName } from '../../src/repository/format/packName.ts';
import { Lease } from '../../src/repository/guards/lease.ts';
import { epochOf } from '../../src/repository/keys/keys.ts';
import {
  type Manifest,
  manifestName,
  newSessionId,
  ownStreams,
  type PartRecord,
} from '../../src/repository/manifest.ts';
import { partLines, readParts } from '../../src/repository/read/parts.ts';
import { SnapshotReader } from '../../src/repository/read/reader.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { ChunkIndex } from '../../src/repository/write/chunkIndex.ts';
import { ChunkWriter, type WrittenStream } from '../../src/repository/write/chunkWriter.ts';
import { PackAssembler } from '../../src/repository/write/packAssembler.ts';
import { packTable } from '../../src/repository/write/packTable.ts';
import { PackWriter } from '../../src/repository/write/packWriter.ts';
import {
  findUnfinished,
  removeUnfinished,
  type UnfinishedContent,
  writeUnfinished,
} from '../../src/repository/write/unfinished.ts';

/** What a small backup stores: blocks of bytes by name; equal text is equal bytes. */
export type Blocks = Record<string, string>;

/** The points at which a test may let something else happen. */
export interface Pauses {
  previousFound?(): Promise<void>;
  stored?(): Promise<void>;
  held?(): Promise<void>;
  /** Says what is stored before the snapshot is complete, as a run does that takes long. */
  checkpoint?: boolean;
}

/**
 * A backup without a database: the same steps in the same order as src/operations/backup/capture.ts, with blocks for
 * parts, each deduplicated against its namesake in the newest snapshot. With `copyOf` it comes as a copy of the snapshot
 * of that id does.
 */
export async function smallBackup(
  repository: Repository,
  blocks: Blocks,
  pauses: Pauses = {},
  copyOf?: string,
): Promise<Manifest> {
  const { storage } = repository;
  const session = newSessionId(await storage.now());
  const lease = await Lease.take(storage, session, copyOf === undefined ? 'backup' : 'copy');
  try {
    const previous = await newest(repository);
    await pauses.previousFound?.();
    const manifest = await write(repository, session, blocks, previous, { ...pauses, copyOf });
    await pauses.stored?.();
    await lease.hold();
    await pauses.held?.();
    await repository.commit(manifest);
    await lease.confirm().catch(async error => {
      await repository.forget(manifestName(manifest));
      throw error;
    });
    if (pauses.checkpoint) await removeUnfinished(repository, session);
    return manifest;
  } finally {
    await lease.release();
  }
}

/** The blocks of a snapshot, every byte of them checked. */
export async function readBack(repository: Repository, manifest: Manifest): Promise<Blocks> {
  const { storage, keys } = repository;
  const reader = new SnapshotReader(storage, keys, manifest, { verifyIds: true });
  const blocks: Blocks = {};
  for (const part of await readParts(reader, manifest)) {
    const name = part.group;
    const bytes = await reader.whole(part, name);
    blocks[name] = bytes.toString('latin1', 0, bytes.indexOf(0));
    if (!bytes.equals(bytesOf(blocks[name]))) throw new Error(`block ${name} came back changed`);
  }
  for (const name of ownStreams(manifest))
    if (!(await reader.whole(manifest.streams[name]!, name)).equals(ARCHIVE))
      throw new Error(`the ${name} came back changed`);
  return blocks;
}

async function newest(repository: Repository): Promise<Manifest | undefined> {
  for (const id of (await repository.snapshotNames()).reverse()) {
    const manifest = await repository.manifest(id).catch(() => undefined);
    if (!manifest) continue;
    const { newest } = repository.keys;
    if (!Object.keys(manifest.sessions).every(session => epochOf(manifest, session) === newest)) continue;
    if (await allThere(repository, manifest)) return manifest;
  }
  return undefined;
}

async function allThere(repository: Repository, manifest: Manifest): Promise<boolean> {
  const there = new Set<string>();
  for await (const { name } of repository.storage.list('packs/')) there.add(name);
  return manifest.packs.every(([session, number]) => there.has(`packs/${packName(session, number)}`));
}

/** Of each block, what reads the chunk lists that it had in the previous snapshot and in sessions that were cut off. */
async function knownParts(
  { storage, keys }: Repository,
  previous: Manifest | undefined,
  unfinished: readonly UnfinishedContent[],
): Promise<Map<string, (() => Promise<Buffer>)[]>> {
  const known = new Map<string, (() => Promise<Buffer>)[]>();
  const add = (reader: SnapshotReader, parts: readonly PartRecord[]) => {
    for (const part of parts)
      known.set(part.group, [...(known.get(part.group) ?? []), () => reader.encodedList(part)]);
  };
  const readerOf = (table: Manifest | UnfinishedContent) =>
    new SnapshotReader(storage, keys, table, { verifyIds: false });
  if (previous) {
    const reader = readerOf(previous);
    add(reader, await readParts(reader, previous));
  }
  for (const each of unfinished) add(readerOf(each), each.parts);
  return known;
}

async function indexOf(reads: (() => Promise<Buffer>)[] = []): Promise<{ index: ChunkIndex } | undefined> {
  const lists = await Promise.all(reads.map(read => read()));
  if (lists.length === 0) return undefined;
  return { index: new ChunkIndex(lists.map(list => decodeChunkList(list, 'what is known'))) };
}

async function write(
  repository: Repository,
  session: string,
  blocks: Blocks,
  previous: Manifest | undefined,
  { copyOf, checkpoint }: { copyOf?: string; checkpoint?: boolean },
): Promise<Manifest> {
  const { storage, keys } = repository;
  const own = keys.current;
  const salt = randomBytes(16);
  const assembler = new PackAssembler(storage, session);
  const unfinished = await findUnfinished(repository, DATABASE, session);
  const known = await knownParts(repository, previous, unfinished);
  const tables = [...(previous ? [previous] : []), ...unfinished];
  let packs = 0;
  const nextPack = () => ++packs;
  const options = { keys: own, session, sessionSalt: salt, level: 1, nextPack, output: assembler };
  const writer = new ChunkWriter(new PackWriter({ ...options, content: 'rows' }));
  const written: WrittenStream[] = [];
  const lines: PartRecord[] = [];
  const put = async (name: string, bytes: Buffer) => {
    writer.begin(await indexOf(known.get(name)));
    writer.appendStream(bytes);
    const stream = writer.finish('stream');
    written.push(stream);
    return stream.ref;
  };
  for (const [name, text] of Object.entries(blocks)) {
    const bytes = bytesOf(text);
    const ref = await put(name, bytes);
    lines.push({ group: name, from: 0, to: null, rows: 0, bytes: bytes.length, facts: {}, ...ref });
    writer.flush(); // a pack for each block, so that snapshots share some and not others
  }
  const ownPacks = { session, salt, epoch: own.epoch };
  const tableOfStored = () => packTable({ ...ownPacks, sizes: assembler.sizes }, written, tables);
  const started = (await storage.now()).toISOString();
  if (checkpoint) {
    await assembler.finish();
    const { sessions, epochs, packs: stored } = tableOfStored();
    const said = { sessions, epochs, packs: stored, parts: lines };
    await writeUnfinished(repository, session, 1, { database: DATABASE, started, ...said });
  }
  const archive = await put('archive', ARCHIVE);
  const parts = await put('parts', partLines(lines));
  writer.flush();
  await assembler.finish();
  return {
    format: 1,
    snapshot: copyOf ?? session,
    ...(copyOf === undefined ? {} : { copied: { from: 'a test', session } }),
    database: DATABASE,
    plan: null,
    kind: 'logical',
    source: {},
    started,
    scope: { tables: [], excludeTables: [], schemaOnly: false, dataOnly: false, rolePasswords: false },
    base: previous?.snapshot ?? null,
    ...tableOfStored(),
    counts: {
      chunks: written.reduce((sum, stream) => sum + stream.chunks, 0),
      bytesRead: written.reduce((sum, stream) => sum + stream.bytes, 0),
    },
    streams: { archive, globals: archive, parts },
  } as unknown as Manifest;
}

const DATABASE = 'small';
const ARCHIVE = Buffer.from('what every snapshot has');
/** Bytes of each piece of a text: some chunks. */
const PIECE_BYTES = 30_000;

/**
 * The text, a zero, and bytes that follow from it: long enough for a chunk. Where the text has several pieces, with bars
 * between, each has bytes of its own, so that two texts share chunks where they share pieces.
 */
function bytesOf(text: string): Buffer {
  const head = Buffer.from(`${text}\0`, 'latin1');
  const pieces = text.split('|');
  if (pieces.length > 1) return Buffer.concat([head, ...pieces.map(long)]);
  const filler = hash('sha512', text, 'buffer');
  return Buffer.concat([head, ...Array.from({ length: 80 }, () => filler)]);
}

function long(piece: string): Buffer {
  return createHash('shake256', { outputLength: PIECE_BYTES }).update(piece).digest();
}
