import { asTidemarkError, faultError, type TidemarkError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { errorAt, type PostedError, receiveError, workerFile } from '../../base/worker.ts';
import { forgetUnlessHeld } from '../../repository/guards/forgetting.ts';
import { Lease } from '../../repository/guards/lease.ts';
import {
  type Manifest,
  manifestName,
  newSessionId,
  ownStreams,
  type PartRecord,
} from '../../repository/manifest.ts';
import { partLines, readParts } from '../../repository/read/parts.ts';
import { SnapshotReader } from '../../repository/read/reader.ts';
import type { WrittenStream } from '../../repository/write/chunkWriter.ts';
import { PartWriters } from '../../repository/write/partWriters.ts';
import { commitUnder, total, WritingSession, type WrittenStreams } from '../../repository/write/session.ts';
import { shareOf } from '../../storage/index.ts';
import { unlessMissing } from '../../storage/object.ts';
import type { OpenPlace } from '../open/open.ts';
import { whileReading } from '../open/reading.ts';
import { isWhole } from '../open/wholeness.ts';
import { UnchangedParts } from './unchanged.ts';
import type { CopyWorkerData } from './worker.ts';

interface CopyRequest {
  from: OpenPlace;
  to: OpenPlace;
  /** As the source has it. */
  manifest: Manifest;
  /** The name of a manifest of the same snapshot that is damaged in the target; the copy is then made beside it. */
  replaces?: string;
  jobs: number | null;
  /** zstd level. */
  level: number;
  /** Of the rows, instead of the target's. */
  storageClass: string | null;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** The manifest as it is known so far: which one is meant. */
export type CopyWish = Omit<CopyRequest, 'manifest'> & { manifest: Pick<Manifest, 'snapshot' | 'copied'> };

/**
 * Copies one snapshot into another repository, which may have another key. When it returns, the copy exists there, and
 * every row and byte that the source counted has been read, checked and stored. Undefined where it was there already, or
 * what it replaces is not there any more.
 */
export async function copySnapshot(request: CopyWish): Promise<Manifest | undefined> {
  const { from, manifest, reporter } = request;
  const note = (line: string) => reporter.note(line);
  return whileReading(from.repository, note, async () =>
    // Read anew: what an older reading of it refers to may have been freed before.
    copyInto({ ...request, manifest: await readAgain(from, manifest) }),
  );
}

async function readAgain({ name, repository }: OpenPlace, manifest: CopyWish['manifest']): Promise<Manifest> {
  const again = await repository.manifest(manifestName(manifest)).catch(unlessMissing);
  if (again) return again;
  throw usageError(
    'SNAPSHOT_GONE',
    `snapshot ${manifest.snapshot} was forgotten in ${name} meanwhile`,
    'nothing was copied of it',
  );
}

async function copyInto(request: CopyRequest): Promise<Manifest | undefined> {
  const { to, manifest, replaces, signal } = request;
  const { repository } = to;
  const started = new Date();
  const id = newSessionId(started);
  const lease = await Lease.take(repository.storage, id, 'copy');
  let session: WritingSession | undefined;
  try {
    const there = await repository.namesOf(manifest.snapshot);
    if (replaces === undefined ? there.length > 0 : !there.includes(replaces)) return undefined;
    session = await WritingSession.begin({
      ...request,
      repository,
      id,
      database: manifest.database,
      isWhole,
      started,
    });
    const run = new CopyRun(request, session);
    const source = await run.open();
    const written = await run.copyParts(source.parts);
    const streams = await run.writeStreams(source, written);
    await session.assembler.finish();
    const copy = run.manifest(source, written, streams);
    await lease.hold();
    signal.throwIfAborted();
    await commitUnder(lease, repository, copy);
    await session.checkpoints.finish();
    if (replaces === undefined) await keepOne(request, to);
    return copy;
  } catch (error) {
    await session?.checkpoints.abandon();
    signal.throwIfAborted();
    throw error;
  } finally {
    await lease.release();
  }
}

/** What the source says of the snapshot, read and checked; its parts are still where they are. */
interface Source {
  /** By name, those that are no parts. */
  streams: Record<string, Buffer>;
  parts: PartRecord[];
  /** Bytes of the list of parts, which is another in every repository. */
  partsBytes: number;
}

/** The part, where it lies in this repository. */
function recordOf({ group, from, to, facts }: PartRecord, { rows, bytes, ref }: WrittenStream): PartRecord {
  return { group, from, to, rows, bytes, facts, ...ref };
}

class CopyRun {
  readonly #request: CopyRequest;
  readonly #session: WritingSession;

  constructor(request: CopyRequest, session: WritingSession) {
    this.#request = request;
    this.#session = session;
  }

  async open(): Promise<Source> {
    const { from, manifest } = this.#request;
    const { storage, keys } = from.repository;
    const reader = new SnapshotReader(storage, keys, manifest, { verifyIds: true });
    const streams: Record<string, Buffer> = {};
    for (const name of ownStreams(manifest))
      streams[name] = await reader.whole(manifest.streams[name]!, `${name} of snapshot ${manifest.snapshot}`);
    const parts = await readParts(reader, manifest);
    const list = await reader.list(manifest.streams.parts, `the parts of snapshot ${manifest.snapshot}`);
    return {
      streams,
      parts,
      partsBytes: list.length.reduce((sum, each) => sum + each, 0),
    };
  }

  /** What was written for each part, in their order. */
  async copyParts(parts: PartRecord[]): Promise<WrittenStream[]> {
    const { from, manifest, reporter, signal } = this.#request;
    const { previous, assembler } = this.#session;
    const unchanged = await UnchangedParts.find(from.repository, previous);
    const written = new Map<PartRecord, WrittenStream>();
    for (const part of parts) {
      signal.throwIfAborted();
      const known = await unchanged?.written(part);
      if (known) written.set(part, known);
    }
    const jobs = parts.filter(part => !written.has(part));
    const data = this.#session.workerData(jobs.length);
    if (jobs.length > 0) {
      const bytes = jobs.reduce((sum, part) => sum + part.bytes, 0);
      reporter.begin(`copying ${manifest.snapshot}`, bytes);
      const source = {
        storage: shareOf(from.storage, data.length),
        keys: from.repository.keys.ring,
        packs: { sessions: manifest.sessions, epochs: manifest.epochs, packs: manifest.packs },
      };
      const writers = new PartWriters<PartRecord>({
        file: workerFile('./worker', import.meta.url),
        workers: data.map((each): CopyWorkerData => ({ ...each, from: source })),
        assembler,
        progress: done => reporter.advance(done),
        signal,
        explain: error => explain(error, from.name),
      });
      const work = {
        ...{ jobs, start: undefined },
        previous: (part: PartRecord) => this.#session.listsOf(part),
        done: (part: PartRecord, written: WrittenStream) =>
          this.#session.checkpoints.add(recordOf(part, written), written),
      };
      const copied = await writers.run(work).finally(() => writers.close());
      for (const [i, part] of jobs.entries()) written.set(part, copied[i]!);
      reporter.end();
    }
    return parts.map(part => written.get(part)!);
  }

  writeStreams({ streams, parts }: Source, written: WrittenStream[]): Promise<WrittenStreams> {
    const records = parts.map((part, i) => recordOf(part, written[i]!));
    return this.#session.writeStreams({ ...streams, parts: partLines(records) });
  }

  /** The source's, with what is another here; what was written must be what the source had counted. */
  manifest(source: Source, parts: WrittenStream[], streams: WrittenStreams): Manifest {
    const { from, manifest, version } = this.#request;
    const { id, previous, assembler } = this.#session;
    const own = Object.values(source.streams).reduce((sum, each) => sum + each.length, 0);
    compare(manifest, total(parts, each => each.bytes) + own + source.partsBytes);
    const written = [...parts, ...streams.written];
    const { sessions, epochs, packs, usage, revised, ...said } = manifest;
    return {
      ...said,
      base: previous?.manifest.snapshot ?? null,
      counts: {
        ...manifest.counts,
        bytesRead: total(written, each => each.bytes),
        bytesAdded: assembler.storedBytes,
        chunks: total(written, each => each.chunks),
        chunksAdded: total(written, each => each.chunksAdded),
      },
      ...this.#session.packTable(written),
      streams: streams.refs,
      copied: { from: from.repository.id, session: id, at: new Date().toISOString(), tool: version },
    };
  }
}

/** `bytes` with the source's list of parts. */
function compare({ snapshot, counts }: Manifest, bytes: number): void {
  if (bytes === counts.bytesRead) return;
  throw faultError(
    'COPY_DIFFERS',
    `snapshot ${snapshot} says that it has ${counts.bytesRead} bytes, but ${bytes} came out`,
    "nothing was kept of the copy; run 'tidemark verify' on the snapshot",
  );
}

/** Where two copied a snapshot at once, one of the two copies is enough. That it can't be ended makes none of them worse. */
async function keepOne({ manifest, reporter }: CopyRequest, { name, repository }: OpenPlace): Promise<void> {
  const { snapshot } = manifest;
  try {
    await forgetUnlessHeld(repository, (await repository.namesOf(snapshot)).slice(1));
  } catch (error) {
    const { message, code } = asTidemarkError(error);
    const remedy = `if it is there twice, 'tidemark repair ${name}' ends one`;
    reporter.note(`warning: ${snapshot} is stored in ${name}, but ${message} [${code}]; ${remedy}`);
  }
}

/** A worker does nothing that could fail but read the source. */
function explain(posted: PostedError, repository: string): TidemarkError {
  return errorAt(repository, asTidemarkError(receiveError(posted)));
}
