import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Reporter } from '../../base/progress.ts';
import { type Anchor, CAPTURE_SETTINGS, openAnchor } from '../../capture/logical/anchor.ts';
import { explainCaptureError } from '../../capture/logical/explain.ts';
import { captureGlobals, type Globals } from '../../capture/logical/globals.ts';
import type { PartJob } from '../../capture/logical/partition.ts';
import { type CapturePlan, planCapture } from '../../capture/logical/plan.ts';
import { anyPattern } from '../../postgres/archive/pattern.ts';
import type { ConnectionSettings } from '../../postgres/settings/settings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { ChunkIndex } from '../../repository/chunkIndex.ts';
import { decodeChunkList } from '../../repository/chunkList.ts';
import { ChunkWriter, type ListRef, type WrittenStream } from '../../repository/chunkWriter.ts';
import type { EpochKeys } from '../../repository/keys.ts';
import { Lease } from '../../repository/lease.ts';
import {
  type Manifest,
  manifestName,
  newSessionId,
  type PartRecord,
  type Scope,
} from '../../repository/manifest.ts';
import { PackAssembler } from '../../repository/packAssembler.ts';
import { packTable } from '../../repository/packTable.ts';
import { PackWriter } from '../../repository/packWriter.ts';
import type { Repository } from '../../repository/repository.ts';
import { runCrew } from './crew.ts';
import { PreviousSnapshot } from './previous.ts';

/** Connections that read at once unless the plan says otherwise: as many as there are cores, but not a crowd. */
const JOBS_MAX = 4;

export interface BackupRequest {
  repository: Repository;
  database: string;
  settings: ConnectionSettings;
  plan: string | null;
  scope: Omit<Scope, 'rolePasswords'> & { rolePasswords: boolean | null };
  jobs: number | null;
  level: number;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** One backup of one database into one repository. When it returns, the snapshot exists and everything it needs is stored. */
export async function backup(request: BackupRequest): Promise<Manifest> {
  const started = new Date();
  const { repository, signal } = request;
  const run = new BackupRun(request, newSessionId(started), started);
  const lease = await Lease.take(repository.storage, run.session, 'backup');
  try {
    const previous = await PreviousSnapshot.find(repository, request.database);
    const anchor = await openAnchor(request.settings, run.wanted, signal);
    try {
      const plan = await planCapture(anchor, { ...request.scope, settings: request.settings, signal });
      for (const warning of warningsOf(request, anchor, plan)) request.reporter.note(`warning: ${warning}`);
      const globals = await captureGlobals(anchor.session, request.scope.rolePasswords);
      const written = await run.captureParts(anchor, plan.jobs, previous);
      const streams = await run.writeStreams(plan, globals, written, previous);
      await run.assembler.finish();
      await anchor.session.query('select 1'); // the locks and the snapshot held to the end, or this throws
      await lease.hold();
      signal.throwIfAborted();
      const manifest = await run.commit(anchor, plan, globals, streams, previous);
      await confirmOrForget(lease, repository, manifest);
      return manifest;
    } finally {
      await anchor.session.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw explainCaptureError(error, describeSettings(request.settings));
  } finally {
    await lease.release();
  }
}

/**
 * A machine may sleep between the lease's last renewal and the manifest, and a collection not know of either: a snapshot
 * that came so late is taken back, since what it relies on may be gone.
 */
async function confirmOrForget(lease: Lease, repository: Repository, manifest: Manifest): Promise<void> {
  try {
    await lease.confirm();
  } catch (error) {
    await repository.forget(manifestName(manifest));
    throw error;
  }
}

interface Streams {
  refs: Manifest['streams'];
  written: WrittenStream[];
  parts: PartRecord[];
}

class BackupRun {
  readonly session: string;
  readonly assembler: PackAssembler;
  readonly #request: BackupRequest;
  readonly #started: Date;
  readonly #salt = randomBytes(16);
  readonly #keys: EpochKeys;
  readonly #workers: number;

  constructor(request: BackupRequest, session: string, started: Date) {
    this.#request = request;
    this.session = session;
    this.#started = started;
    this.assembler = new PackAssembler(request.repository.storage, session);
    this.#keys = request.repository.keys.current;
    this.#workers = request.jobs ?? Math.min(JOBS_MAX, availableParallelism());
  }

  /** Whether a table is captured, by the names given; pg_dump goes by the same patterns. */
  get wanted(): (schema: string, table: string) => boolean {
    const excluded = anyPattern(this.#request.scope.excludeTables);
    return (schema, table) => !excluded(schema, table);
  }

  async captureParts(anchor: Anchor, jobs: PartJob[], previous?: PreviousSnapshot): Promise<WrittenStream[]> {
    const { repository, settings, reporter, signal, level } = this.#request;
    if (jobs.length === 0) return [];
    const workers = Math.min(this.#workers, jobs.length);
    reporter.begin(
      'reading',
      jobs.reduce((sum, job) => sum + job.weightBytes, 0),
    );
    const written = await runCrew({
      workers: Array.from({ length: workers }, (_, i) => ({
        settings,
        sessionSettings: CAPTURE_SETTINGS,
        snapshot: anchor.snapshot,
        master: this.#keys.master,
        epoch: this.#keys.epoch,
        repositoryId: repository.id,
        session: this.session,
        sessionSalt: this.#salt,
        level,
        firstPack: i + 2,
        packStep: this.#workers + 1,
      })),
      jobs,
      assembler: this.assembler,
      previous: async job => previous?.listsOf(job),
      progress: bytes => reporter.advance(bytes),
      signal,
      where: describeSettings(settings),
    });
    reporter.end();
    return written;
  }

  /** The archive, the globals and the list of parts, which are streams like any other. */
  async writeStreams(
    plan: CapturePlan,
    globals: Globals,
    written: WrittenStream[],
    previous?: PreviousSnapshot,
  ): Promise<Streams> {
    let packs = 0;
    const writer = new ChunkWriter(
      new PackWriter({
        keys: this.#keys,
        session: this.session,
        sessionSalt: this.#salt,
        level: this.#request.level,
        nextPack: () => 1 + packs++ * (this.#workers + 1),
        output: this.assembler,
      }),
    );
    const parts = plan.jobs.map((job, i) => partRecord(job, written[i]!));
    const lines = parts.map(part => JSON.stringify(part) + '\n').join('');
    const contents = {
      archive: plan.archive,
      globals: Buffer.from(JSON.stringify(globals)),
      parts: Buffer.from(lines),
    };
    const streams: WrittenStream[] = [];
    const refs = {} as Manifest['streams'];
    for (const name of ['archive', 'globals', 'parts'] as const) {
      writer.begin(await previousStream(previous, previous?.manifest.streams[name]));
      writer.appendStream(contents[name]);
      const stream = writer.finish('stream');
      streams.push(stream);
      refs[name] = stream.ref;
    }
    writer.flush();
    return { refs, written: [...written, ...streams], parts };
  }

  async commit(
    anchor: Anchor,
    plan: CapturePlan,
    globals: Globals,
    streams: Streams,
    previous?: PreviousSnapshot,
  ): Promise<Manifest> {
    const { repository, database, settings, scope, version } = this.#request;
    const { facts } = anchor;
    const sum = (of: (stream: WrittenStream) => number) =>
      streams.written.reduce((total, each) => total + of(each), 0);
    const manifest: Manifest = {
      format: 1,
      snapshot: this.session,
      database,
      plan: this.#request.plan,
      kind: 'logical',
      started: this.#started.toISOString(),
      finished: new Date().toISOString(),
      base: previous?.manifest.snapshot ?? null,
      tool: version,
      pgDump: plan.pgDump,
      source: {
        database: facts.database,
        host: settings.hosts.map(host => `${host.host}:${host.port}`).join(','),
        serverVersion: facts.serverVersion,
        serverVersionNum: facts.serverVersionNum,
        encoding: facts.encoding,
        collate: facts.collate,
        ctype: facts.ctype,
        localeProvider: facts.localeProvider,
        icuLocale: facts.icuLocale,
        sizeBytes: facts.sizeBytes,
      },
      scope: { ...scope, rolePasswords: globals.passwords },
      counts: {
        tables: plan.tables,
        rows: streams.parts.reduce((total, part) => total + (part.kind === 'rows' ? part.rows : 0), 0),
        largeObjects: plan.largeObjects,
        bytesRead: sum(stream => stream.bytes),
        bytesAdded: this.assembler.storedBytes,
        chunks: sum(stream => stream.chunks),
        chunksAdded: sum(stream => stream.chunksAdded),
      },
      ...packTable(
        { session: this.session, salt: this.#salt, epoch: this.#keys.epoch, sizes: this.assembler.sizes },
        streams.written,
        previous?.manifest,
      ),
      streams: streams.refs,
    };
    await repository.commit(manifest);
    return manifest;
  }
}

/** What does not stop the backup but somebody should know. */
function warningsOf({ settings }: BackupRequest, { facts }: Anchor, plan: CapturePlan): string[] {
  const standby = 'this is a standby: rows of unlogged tables are not there to be read';
  return [...(settings.warnings ?? []), ...plan.warnings, ...(facts.inRecovery ? [standby] : [])];
}

function partRecord(job: PartJob, written: WrittenStream): PartRecord {
  const { kind, oid, schema, table, from, to } = job;
  return { kind, oid, schema, table, from, to, rows: written.rows, bytes: written.bytes, ...written.ref };
}

async function previousStream(previous: PreviousSnapshot | undefined, ref: ListRef | undefined) {
  if (!previous || !ref) return undefined;
  const encoded = await previous.reader.encodedList(ref).catch(() => undefined);
  if (!encoded) return undefined;
  return {
    index: new ChunkIndex([decodeChunkList(encoded, 'the previous snapshot')]),
    same: { encoded, ref },
  };
}
