import { hash, randomBytes } from 'node:crypto';
import { ChunkIndex } from '../../src/repository/chunkIndex.ts';
import { decodeChunkList } from '../../src/repository/chunkList.ts';
import { ChunkWriter, type ListRef, type WrittenStream } from '../../src/repository/chunkWriter.ts';
import { Lease } from '../../src/repository/lease.ts';
import { type Manifest, manifestName, newSessionId } from '../../src/repository/manifest.ts';
import { PackAssembler } from '../../src/repository/packAssembler.ts';
import { packTable } from '../../src/repository/packTable.ts';
import { PackWriter } from '../../src/repository/packWriter.ts';
import { SnapshotReader } from '../../src/repository/reader.ts';
import type { Repository } from '../../src/repository/repository.ts';

/** What a small backup stores: blocks of bytes by name; equal text is equal bytes. */
export type Blocks = Record<string, string>;

/** The points at which a test may let something else happen. */
export interface Pauses {
  previousFound?(): Promise<void>;
  stored?(): Promise<void>;
  held?(): Promise<void>;
}

/**
 * A backup without a database: the same steps in the same order as src/operations/backup/backup.ts, with blocks for
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
    const manifest = await write(repository, session, blocks, previous, copyOf);
    await pauses.stored?.();
    await lease.hold();
    await pauses.held?.();
    await repository.commit(manifest);
    await lease.confirm().catch(async error => {
      await repository.forget(manifestName(manifest));
      throw error;
    });
    return manifest;
  } finally {
    await lease.release();
  }
}

/** The blocks of a snapshot, every byte of them checked. */
export async function readBack(repository: Repository, manifest: Manifest): Promise<Blocks> {
  const { storage, keys } = repository;
  const reader = new SnapshotReader(storage, keys, manifest, { verifyIds: true });
  const refs = JSON.parse((await reader.whole(manifest.streams.parts, 'parts')).toString()) as Record<
    string,
    ListRef
  >;
  const blocks: Blocks = {};
  for (const [name, ref] of Object.entries(refs)) {
    const bytes = await reader.whole(ref, name);
    blocks[name] = bytes.toString('latin1', 0, bytes.indexOf(0));
    if (!bytes.equals(bytesOf(blocks[name]))) throw new Error(`block ${name} came back changed`);
  }
  return blocks;
}

async function newest(repository: Repository): Promise<Manifest | undefined> {
  for (const id of (await repository.snapshotNames()).reverse()) {
    const manifest = await repository.manifest(id).catch(() => undefined);
    const epoch = (id: string) => manifest?.epochs?.[id] ?? 0;
    if (!manifest || !Object.keys(manifest.sessions).every(id => epoch(id) === repository.keys.newest))
      continue;
    if (await allThere(repository, manifest)) return manifest;
  }
  return undefined;
}

async function allThere(repository: Repository, manifest: Manifest): Promise<boolean> {
  const there = new Set<string>();
  for await (const { name } of repository.storage.list('packs/')) there.add(name);
  return manifest.packs.every(([id, number]) => there.has(`packs/${id}/${String(number).padStart(8, '0')}`));
}

async function write(
  repository: Repository,
  session: string,
  blocks: Blocks,
  previous: Manifest | undefined,
  copyOf: string | undefined,
): Promise<Manifest> {
  const { storage, keys } = repository;
  const own = keys.current;
  const salt = randomBytes(16);
  const assembler = new PackAssembler(storage, session);
  const reader = previous && new SnapshotReader(storage, keys, previous, { verifyIds: false });
  const old = reader
    ? (JSON.parse((await reader.whole(previous!.streams.parts, 'parts')).toString()) as Record<
        string,
        ListRef
      >)
    : {};
  let packs = 0;
  const nextPack = () => ++packs;
  const options = { keys: own, session, sessionSalt: salt, level: 1, nextPack, output: assembler };
  const writer = new ChunkWriter(new PackWriter({ ...options, content: 'rows' }));
  const written: WrittenStream[] = [];
  const refs: Record<string, ListRef> = {};
  const put = async (name: string, bytes: Buffer, ref: ListRef | undefined) => {
    const encoded = ref && (await reader!.encodedList(ref));
    writer.begin(encoded && { index: new ChunkIndex([decodeChunkList(encoded, name)]) });
    writer.appendStream(bytes);
    const stream = writer.finish('stream');
    written.push(stream);
    return stream.ref;
  };
  for (const [name, text] of Object.entries(blocks)) {
    refs[name] = await put(name, bytesOf(text), old[name]);
    writer.flush(); // a pack for each block, so that snapshots share some and not others
  }
  const parts = await put('parts', Buffer.from(JSON.stringify(refs)), undefined);
  writer.flush();
  await assembler.finish();
  return {
    format: 1,
    snapshot: copyOf ?? session,
    ...(copyOf === undefined ? {} : { copied: { from: 'a test', session } }),
    database: 'small',
    plan: null,
    base: previous?.snapshot ?? null,
    ...packTable(
      { session, salt, epoch: own.epoch, sizes: assembler.sizes },
      written,
      previous ? [previous] : [],
    ),
    streams: { archive: parts, globals: parts, parts },
  } as unknown as Manifest;
}

/** The text, a zero, and bytes that follow from it: long enough for a few chunks. */
function bytesOf(text: string): Buffer {
  const filler = hash('sha512', text, 'buffer');
  return Buffer.concat([Buffer.from(`${text}\0`, 'latin1'), ...Array.from({ length: 80 }, () => filler)]);
}
