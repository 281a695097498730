import { TidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { type PostedError, receiveError, workerFile } from '../../base/worker.ts';
import { CAPTURE_SETTINGS, type ServerFacts } from '../../capture/logical/anchor.ts';
import { type BegunCapture, beginCapture } from '../../capture/logical/begin.ts';
import { explainCaptureError } from '../../capture/logical/explain.ts';
import { Keeper } from '../../capture/logical/keeper.ts';
import { describePart, partFacts, partName, type Scope } from '../../capture/logical/part.ts';
import { type PartJob, partsAtMost } from '../../capture/logical/partition.ts';
import { LOCK_WAIT_MS } from '../../capture/logical/tableLocks.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { newSessionId, type PartRecord } from '../../repository/manifest.ts';
import { partLines } from '../../repository/read/parts.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WrittenStream } from '../../repository/write/chunkWriter.ts';
import { PartWriters } from '../../repository/write/partWriters.ts';
import { commitUnder, total, WritingSession, type WrittenStreams } from '../../repository/write/session.ts';
import type { LogicalManifest } from '../../restore/manifest.ts';
import { isWhole } from '../open/wholeness.ts';
import type { CaptureWorkerData } from './worker.ts';

export interface BackupRequest {
  repository: Repository;
  database: string;
  settings: ConnectionSettings;
  plan: string | null;
  scope: Omit<Scope, 'rolePasswords'> & { rolePasswords: boolean | null };
  jobs: number | null;
  /** How long is waited for tables that others keep locked; ten minutes unless said otherwise. */
  lockWaitMs?: number | null;
  level: number;
  /** Instead of the repository's. */
  storageClass?: string | null;
  /** Between two checkpoints; half a minute unless said otherwise. */
  checkpointMs?: number;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** One backup of one database into one repository. When it returns, the snapshot exists and everything it needs is stored. */
export async function backup(request: BackupRequest): Promise<LogicalManifest> {
  const started = new Date();
  const { repository, signal } = request;
  const id = newSessionId(started);
  const lease = await Lease.take(repository.storage, id, 'backup');
  let session: WritingSession | undefined;
  let run: BackupRun | undefined;
  try {
    session = await WritingSession.begin({ ...request, isWhole, id, started });
    const backup = new BackupRun(request, session, started);
    run = backup;
    const { scope, settings, lockWaitMs, reporter } = request;
    const note = (line: string) => reporter.note(line);
    const begun = await beginCapture({
      settings,
      scope,
      lockWaitMs: lockWaitMs ?? LOCK_WAIT_MS,
      note,
      ready: facts => backup.ready(facts),
      signal,
    });
    for (const warning of warningsOf(request, begun)) note(`warning: ${warning}`);
    const written = await backup.captureParts(begun);
    const streams = await backup.writeStreams(begun, written);
    await session.assembler.finish();
    await lease.hold();
    signal.throwIfAborted();
    const manifest = backup.manifest(begun, streams);
    await commitUnder(lease, repository, manifest);
    await session.checkpoints.finish();
    return manifest;
  } catch (error) {
    await session?.checkpoints.abandon();
    signal.throwIfAborted();
    throw explainCaptureError(error, describeSettings(request.settings));
  } finally {
    await run?.close();
    await lease.release();
  }
}

interface Streams extends WrittenStreams {
  parts: PartRecord[];
}

class BackupRun {
  readonly #request: BackupRequest;
  readonly #session: WritingSession;
  readonly #started: Date;
  #writers: PartWriters<PartJob, string> | undefined;

  constructor(request: BackupRequest, session: WritingSession, started: Date) {
    this.#request = request;
    this.#session = session;
    this.#started = started;
  }

  /** The workers are there, with their connections; not more than there can be parts. */
  async ready(facts: ServerFacts): Promise<void> {
    const parts = this.#request.scope.schemaOnly ? 0 : partsAtMost(facts);
    if (parts === 0) return;
    this.#writers ??= this.#startWriters(parts);
    await this.#writers.opened();
  }

  #startWriters(parts: number): PartWriters<PartJob, string> {
    const { settings, reporter, signal } = this.#request;
    const workers: CaptureWorkerData[] = this.#session
      .workerData(parts)
      .map(data => ({ ...data, settings, sessionSettings: CAPTURE_SETTINGS }));
    return new PartWriters({
      file: workerFile('./worker', import.meta.url),
      workers,
      assembler: this.#session.assembler,
      progress: bytes => reporter.advance(bytes),
      signal,
      explain: (error, job) => explainWorker(error, job, describeSettings(settings)),
    });
  }

  async close(): Promise<void> {
    await this.#writers?.close();
  }

  /** Every row, under locks that are given back as soon as they are read; no lock is held afterwards. */
  async captureParts({ anchor, spare, plan: { jobs } }: BegunCapture): Promise<WrittenStream[]> {
    const { reporter, signal } = this.#request;
    const keeper = new Keeper(anchor, spare, jobs, signal);
    try {
      if (jobs.length === 0) return [];
      reporter.begin(
        'reading',
        jobs.reduce((sum, job) => sum + job.weightBytes, 0),
      );
      this.#writers ??= this.#startWriters(jobs.length); // where the first table was made meanwhile
      const written = await this.#writers.run({
        jobs,
        start: anchor.snapshot,
        previous: job => this.#session.listsOf(partName(job)),
        started: (hurry, failed) =>
          keeper.watch({ hurry: oids => hurry(({ oid }) => rankOf(oid, oids)), failed }),
        begun: job => keeper.begun(job),
        read: (job, give) => keeper.read(job, give),
        done: (job, written) => {
          keeper.done(job);
          this.#session.checkpoints.add(partRecord(job, written), written);
        },
      });
      await keeper.confirm();
      reporter.end();
      return written;
    } finally {
      await keeper.close();
    }
  }

  /** The archive, the globals and the list of parts, which are streams like any other. */
  async writeStreams({ plan, globals }: BegunCapture, written: WrittenStream[]): Promise<Streams> {
    const parts = plan.jobs.map((job, i) => partRecord(job, written[i]!));
    const streams = await this.#session.writeStreams({
      archive: plan.archive,
      globals: Buffer.from(JSON.stringify(globals)),
      parts: partLines(parts),
    });
    return { refs: streams.refs, written: [...written, ...streams.written], parts };
  }

  manifest({ anchor, plan, globals }: BegunCapture, streams: Streams): LogicalManifest {
    const { database, settings, scope, version } = this.#request;
    const { id, previous, assembler } = this.#session;
    const { facts } = anchor;
    return {
      format: 1,
      snapshot: id,
      database,
      plan: this.#request.plan,
      kind: 'logical',
      started: this.#started.toISOString(),
      finished: new Date().toISOString(),
      base: previous?.manifest.snapshot ?? null,
      tool: version,
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
        pgDump: plan.pgDump,
        tables: plan.tables,
        rows: rowsOf(plan.jobs, streams.parts),
        largeObjects: plan.largeObjects,
        ...(plan.needsExcluded.length > 0 ? { needsExcluded: plan.needsExcluded } : {}),
      },
      scope: {
        ...scope,
        rolePasswords: globals.passwords,
      },
      counts: {
        parts: streams.parts.length,
        bytesRead: total(streams.written, stream => stream.bytes),
        bytesAdded: assembler.storedBytes,
        chunks: total(streams.written, stream => stream.chunks),
        chunksAdded: total(streams.written, stream => stream.chunksAdded),
      },
      ...this.#session.packTable(streams.written),
      streams: streams.refs as LogicalManifest['streams'],
    };
  }
}

/** Rows of tables. */
function rowsOf(jobs: readonly PartJob[], parts: readonly PartRecord[]): number {
  return jobs.reduce((sum, { kind }, i) => sum + (kind === 'rows' ? parts[i]!.rows : 0), 0);
}

/** The place in the list; what is not there comes last. */
function rankOf(oid: string, list: readonly string[]): number {
  const at = list.indexOf(oid);
  return at < 0 ? list.length : at;
}

/** What does not stop the backup but somebody should know. */
function warningsOf({ settings }: BackupRequest, { anchor: { facts }, plan }: BegunCapture): string[] {
  const standby = 'this is a standby: rows of unlogged tables are not there to be read';
  return [...(settings.warnings ?? []), ...plan.warnings, ...(facts.inRecovery ? [standby] : [])];
}

function partRecord(job: PartJob, written: WrittenStream): PartRecord {
  const { rows, bytes, ref } = written;
  return { ...partName(job), rows, bytes, facts: partFacts(job), ...ref };
}

/** What the error of a worker means, which was at this job. */
function explainWorker(posted: PostedError, job: PartJob | undefined, database: string): unknown {
  const what = job ? describePart(job) : 'a worker';
  const where = `${database}, ${what}`;
  const error = explainCaptureError(receiveError(posted), where);
  if (error instanceof TidemarkError) return error;
  return new TidemarkError(
    'CAPTURE_FAILED',
    `${where}: ${posted.message}`,
    'nothing was stored; run the backup again',
    { cause: error },
  );
}
