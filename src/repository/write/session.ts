import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { decodeChunkList, type ListRef } from '../format/chunkList.ts';
import type { Lease } from '../guards/lease.ts';
import type { EpochKeys } from '../keys/keys.ts';
import { type Manifest, manifestName, type PartName, type Streams } from '../manifest.ts';
import { PackChecks } from '../packs/packChecks.ts';
import { SnapshotReader } from '../read/reader.ts';
import type { Repository } from '../repository.ts';
import { type PackContent, putOptions } from '../storagePolicy.ts';
import { Checkpoints } from './checkpoints.ts';
import { ChunkIndex } from './chunkIndex.ts';
import { ChunkWriter, type PreviousStream, type WrittenStream } from './chunkWriter.ts';
import { PackAssembler } from './packAssembler.ts';
import { packTable } from './packTable.ts';
import { PackWriter } from './packWriter.ts';
import { type IsWhole, KnownParts, LISTS_MAX, PreviousSnapshot } from './previous.ts';
import type { PreviousLists, WriterData } from './protocol.ts';
import { findUnfinished, type UnfinishedContent } from './unfinished.ts';

/** Workers that write at once unless somebody says otherwise: as many as there are cores, but not a crowd. */
const JOBS_MAX = 4;

export interface SessionOptions {
  repository: Repository;
  /** Its lease has been taken. */
  id: string;
  database: string;
  isWhole: IsWhole;
  started: Date;
  /** Null: as many as suit the machine. */
  jobs: number | null;
  /** zstd level. */
  level: number;
  /** Of the rows, instead of the repository's. */
  storageClass?: string | null;
  /** Between two checkpoints; half a minute unless said otherwise. */
  checkpointMs?: number;
}

export interface WrittenStreams {
  refs: Streams;
  written: WrittenStream[];
}

/** What one session writes into a repository: packs, by several writers, and then a manifest. */
export class WritingSession {
  readonly id: string;
  readonly previous: PreviousSnapshot | undefined;
  readonly assembler: PackAssembler;
  readonly workers: number;
  readonly checkpoints: Checkpoints;
  readonly #unfinished: readonly UnfinishedContent[];
  readonly #goneOnFrom: readonly KnownParts[];
  readonly #keys: EpochKeys;
  readonly #level: number;
  /** Lists share packs with rows, unless rows go where reading takes hours: fewer objects, and stored sooner. */
  readonly #content: PackContent;
  readonly #salt = randomBytes(16);

  /** Finds what it is deduplicated against, and what it goes on from. */
  static async begin(options: SessionOptions): Promise<WritingSession> {
    const { repository, database, id, isWhole } = options;
    const checks = await PackChecks.read(repository);
    const previous = await PreviousSnapshot.find(repository, database, checks, isWhole);
    return new WritingSession(options, checks, previous, await findUnfinished(repository, database, id));
  }

  private constructor(
    options: SessionOptions,
    checks: PackChecks,
    previous: PreviousSnapshot | undefined,
    unfinished: readonly UnfinishedContent[],
  ) {
    const { repository, id, jobs, level, storageClass } = options;
    const policy = { ...repository.policy };
    this.#content = (storageClass ?? policy.storageClass) === null ? 'any' : 'rows';
    policy.storageClass = storageClass ?? policy.storageClass;
    this.id = id;
    this.previous = previous;
    this.assembler = new PackAssembler(repository.storage, id, content => putOptions(policy, content));
    this.workers = jobs ?? Math.min(JOBS_MAX, availableParallelism());
    this.#keys = repository.keys.current;
    this.#level = level;
    this.#unfinished = unfinished;
    this.#goneOnFrom = unfinished.map(each => {
      const reader = new SnapshotReader(repository.storage, repository.keys, each, { verifyIds: false });
      return new KnownParts(reader, each.parts, checks);
    });
    this.checkpoints = new Checkpoints({
      ...{ repository, session: id, database: options.database, started: options.started },
      everyMs: options.checkpointMs,
      isStored: pack => this.assembler.sizes.has(pack),
      tableOf: written => this.packTable(written),
    });
  }

  /** Chunk lists of what a part held before: in the previous snapshot, and in sessions that were cut off. */
  async listsOf(name: PartName): Promise<PreviousLists | undefined> {
    const known = [...(this.previous ? [this.previous] : []), ...this.#goneOnFrom];
    const found = await Promise.all(known.map(each => each.listsOf(name)));
    const lists = found.flatMap(each => each.lists).slice(0, LISTS_MAX);
    if (lists.length === 0) return undefined;
    return { lists, refs: found.flatMap(each => each.refs).slice(0, LISTS_MAX) };
  }

  /** For each of the workers, fewer where there is less to do. */
  workerData(jobs: number): WriterData[] {
    const { master, epoch, repositoryId } = this.#keys;
    return Array.from({ length: Math.min(this.workers, jobs) }, (_, i) => ({
      master,
      epoch,
      repositoryId,
      session: this.id,
      sessionSalt: this.#salt,
      level: this.#level,
      content: this.#content,
      firstPack: i + 2,
      packStep: this.workers + 1,
    }));
  }

  /** Streams that are no parts, in this order; those that did not change refer to what the previous snapshot has. */
  async writeStreams(contents: { parts: Buffer } & Record<string, Buffer>): Promise<WrittenStreams> {
    let packs = 0;
    const writer = new ChunkWriter(
      new PackWriter({
        keys: this.#keys,
        session: this.id,
        sessionSalt: this.#salt,
        level: this.#level,
        content: 'any',
        nextPack: () => 1 + packs++ * (this.workers + 1),
        output: this.assembler,
      }),
    );
    const written: WrittenStream[] = [];
    const refs = {} as Streams;
    for (const [name, content] of Object.entries(contents)) {
      writer.begin(await this.#previousStream(this.previous?.manifest.streams[name]));
      writer.appendStream(content);
      const stream = writer.finish('stream');
      written.push(stream);
      refs[name] = stream.ref;
    }
    writer.flush();
    return { refs, written };
  }

  async #previousStream(ref: ListRef | undefined): Promise<PreviousStream | undefined> {
    const known = ref && (await this.previous?.reusable(ref));
    if (!known) return undefined;
    const { encoded } = known;
    return {
      index: new ChunkIndex([decodeChunkList(encoded, 'the previous snapshot')]),
      same: known.ref ? { encoded, ref: known.ref } : undefined,
    };
  }

  /** What a manifest says of the packs that these streams refer to; all packs of this session have been stored. */
  packTable(written: readonly WrittenStream[]): ReturnType<typeof packTable> {
    const { epoch } = this.#keys;
    const own = { session: this.id, salt: this.#salt, epoch, sizes: this.assembler.sizes };
    return packTable(own, written, [...(this.previous ? [this.previous.manifest] : []), ...this.#unfinished]);
  }
}

/**
 * Makes a snapshot exist, of which everything is stored, if the lease was held all the time. A machine may sleep between
 * the lease's last renewal and the manifest, and a collection not know of either: a snapshot that came so late is taken
 * back, since what it relies on may be gone.
 */
export async function commitUnder(lease: Lease, repository: Repository, manifest: Manifest): Promise<void> {
  await repository.commit(manifest);
  try {
    await lease.confirm();
  } catch (error) {
    await repository.forget(manifestName(manifest));
    throw error;
  }
}

/** The sum over streams, for a manifest's counts. */
export function total(streams: readonly WrittenStream[], of: (stream: WrittenStream) => number): number {
  return streams.reduce((sum, each) => sum + of(each), 0);
}
