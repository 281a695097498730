import { availableParallelism } from 'node:os';
import { faultError, TidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { errorAt, workerFile } from '../../base/worker.ts';
import { WorkerPool } from '../../base/workerPool.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { entryName } from '../../postgres/archive/entryName.ts';
import { postponeReader, type RestorePlan, restorePlan } from '../../postgres/archive/passes.ts';
import type { PlanStep } from '../../postgres/archive/planStep.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import {
  entryStatements,
  type StatementOptions,
  sessionPreamble,
} from '../../postgres/archive/statements.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteName, Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { batches, type EntryStatements, joined } from '../../restore/database/batches.ts';
import { Schedule, type Stage, type Task } from '../../restore/database/schedule.ts';
import type { Deviation } from '../../restore/deviation.ts';
import { partsByEntry, type StoredPart } from '../../restore/parts.ts';
import { adapt, type TargetProfile } from '../../restore/profile.ts';
import { mayHoldSecret } from '../../restore/secrets.ts';
import { leftToSuperuser, statementToHandOver, type Tried } from '../../restore/superuser.ts';
import { shareOf } from '../../storage/index.ts';
import { Loader, type LoaderPool } from './loader.ts';
import type { RestoreWork, RestoreWorkerData } from './protocol.ts';
import type { RestoredTable } from './request.ts';

const JOBS_MAX = 8;

export interface RunRequest {
  archive: Archive;
  entries: ArchiveEntry[];
  parts: StoredPart[];
  settings: ConnectionSettings;
  profile: TargetProfile;
  options: StatementOptions;
  /** Settings that sessions begin with, before the archive's preamble. */
  session: string[];
  /** The snapshot's id, for hints. */
  snapshot: string;
  /** Says what is done otherwise than the archive says. */
  tell(deviations: readonly Deviation[]): void;
  /** What the server may refuse. */
  tried: Tried;
  /** Called once privileges are granted; resolves to settings for what is left: matviews are refreshed. */
  beforeRefresh(): Promise<string[]>;
  jobs: number | null;
  worker: Pick<RestoreWorkerData, 'storage' | 'keys' | 'packs'>;
  reporter: Reporter;
  signal: AbortSignal;
}

/** Carries out a restore of the entries into an empty database; the first error stops it. */
export async function runRestore(request: RunRequest): Promise<RestoredTable[]> {
  const run = new RestoreRun(request);
  try {
    await run.openLoaders();
    await run.statements('creating tables', run.plan.preData);
    await run.rowsAndIndexes();
    await run.statements('granting privileges', run.plan.acl);
    await run.settings(await request.beforeRefresh());
    await run.statements('refreshing', run.plan.postAcl);
    await run.closeLoaders();
    return run.tables();
  } catch (error) {
    await run.abandon();
    request.signal.throwIfAborted();
    throw error;
  }
}

class RestoreRun {
  readonly plan: RestorePlan;
  readonly #request: RunRequest;
  readonly #pool: LoaderPool = new WorkerPool(workerFile('./worker', import.meta.url));
  readonly #loaders: Loader[] = [];
  readonly #rows = new Map<string, number>();
  /** Parts loaded so far; and how many they were when one that was refused had been tried. */
  #loaded = 0;
  readonly #postponed = new Map<RestoreWork, number>();
  /** What a table's owner may not build until privileges are granted. */
  readonly #refused: Task<RestoreWork>[] = [];
  #granted = false;

  constructor(request: RunRequest) {
    this.#request = request;
    this.plan = restorePlan(request.archive, new Set(request.entries.map(entry => entry.dumpId)));
  }

  async openLoaders(): Promise<void> {
    const { archive, settings, profile, worker, jobs, reporter, signal } = this.#request;
    const work = this.plan.data.length + this.plan.postData.length;
    const loaders = Math.max(1, Math.min(jobs ?? Math.min(JOBS_MAX, availableParallelism()), work));
    const data: RestoreWorkerData = {
      ...worker,
      storage: shareOf(worker.storage, loaders),
      settings,
      text: archive.text,
      preamble: [
        ...this.#request.session,
        ...sessionPreamble(archive, { transactionTimeout: profile.serverMajor >= 17 }),
        // What indexes and materialized views read is what their owners may see. No row is lost by it: COPY FROM fails there.
        'SET row_security = on',
        // Nothing counts until all is there; the last commit makes everything before it durable.
        'SET synchronous_commit = off',
        RAISE_MAINTENANCE_MEMORY,
        // Compressing long values is the dearest part of a COPY, and lz4 does it in a fraction of pglz's time.
        ...(profile.lz4 ? ['SET default_toast_compression = lz4'] : []),
      ],
    };
    for (let i = 0; i < loaders; i++) {
      signal.throwIfAborted();
      this.#loaders.push(await Loader.open(this.#pool, data, bytes => reporter.advance(bytes)));
    }
  }

  /** For the session that runs entries one after another. */
  async settings(statements: string[]): Promise<void> {
    if (statements.length > 0) await this.#loaders[0]!.run({ kind: 'statements', statements });
  }

  /** Entries one after another, many in one round trip. */
  async statements(what: string, entries: ArchiveEntry[]): Promise<void> {
    const { reporter } = this.#request;
    if (entries.length === 0) return;
    reporter.begin(what, null);
    await this.#carryOut(entries);
    reporter.end();
  }

  async #carryOut(entries: ArchiveEntry[]): Promise<void> {
    const { signal } = this.#request;
    const loader = this.#loaders[0]!;
    for (const batch of batches(entries.map(entry => this.#adapted(entry)))) {
      signal.throwIfAborted();
      if (batch.length === 1) await this.#one(loader, batch[0]!);
      else {
        try {
          await loader.run({ kind: 'statements', statements: [joined(batch)] });
        } catch (error) {
          if (!PostgresError.of(error)) throw this.#explain(error, batch[0]!.entry);
          for (const each of batch) await this.#one(loader, each);
        }
      }
    }
  }

  async #one(loader: Loader, { entry, statements }: EntryStatements): Promise<void> {
    if (this.#request.tried.isRefused(entry)) return;
    try {
      await loader.run({ kind: 'statements', statements });
    } catch (error) {
      if (!this.#tolerates(error, entry)) throw this.#explain(error, entry);
    }
  }

  /** Rows first where they weigh most, each table's indexes as soon as its rows are there, on all loaders at once. */
  async rowsAndIndexes(): Promise<void> {
    const { reporter } = this.#request;
    const stages = this.#stages();
    const bytes = this.#request.parts.reduce((sum, part) => sum + part.bytes, 0);
    reporter.begin('loading', bytes);
    const schedule = new Schedule<RestoreWork>(stages);
    await new Promise<void>((resolve, reject) => {
      this.#request.signal.addEventListener('abort', () => reject(this.#request.signal.reason), {
        once: true,
      });
      const fill = () => {
        if (schedule.finished) return resolve();
        for (const loader of this.#loaders) {
          const task = loader.busy ? undefined : schedule.next();
          if (task) {
            this.#work(loader, task).then(state => {
              if (state === 'done') schedule.done(task);
              else if (state === 'postponed') schedule.postpone(task);
              fill();
            }, reject);
          }
        }
        if (schedule.finished) resolve();
        else if (this.#refused.length > 0 && !this.#loaders.some(loader => loader.busy))
          this.#grantFirst(schedule).then(fill, reject);
      };
      fill();
    });
    reporter.end();
  }

  /** `postponed`: to be tried again when other tables have their rows; `refused`: when privileges are granted. */
  async #work(loader: Loader, task: Task<RestoreWork>): Promise<'done' | 'postponed' | 'refused'> {
    const { step, work } = task;
    if (this.#request.tried.isRefused(step.entry)) return 'done';
    try {
      const rows = await loader.run(work);
      if (work.kind === 'rows') this.#rows.set(work.part.oid, (this.#rows.get(work.part.oid) ?? 0) + rows);
      if (work.kind === 'rows') this.#loaded++;
    } catch (error) {
      if (this.#mayPostpone(error, task)) return 'postponed';
      if (this.#mayGrantFirst(error, step.entry)) {
        this.#refused.push(task);
        return 'refused';
      }
      if (!this.#tolerates(error, step.entry)) throw this.#explain(error, step.entry);
    }
    return 'done';
  }

  /** An index's expression runs with the rights of the table's owner, who may have them by a grant: those come last. */
  #mayGrantFirst(error: unknown, { desc }: ArchiveEntry): boolean {
    const denied = PostgresError.of(error)?.code === DENIED && BUILT_BY_OWNER.has(desc);
    return denied && !this.#granted && this.plan.acl.length > 0 && this.#request.options.acl !== false;
  }

  /** With nothing beside it: grants and builds change the same rows of the catalogs. */
  async #grantFirst(schedule: Schedule<RestoreWork>): Promise<void> {
    this.#granted = true;
    await this.#carryOut(this.plan.acl);
    for (const task of this.#refused.splice(0)) {
      await this.#work(this.#loaders[0]!, task);
      schedule.done(task);
    }
  }

  /** A check that reads a table may refuse rows until that has its own: again and again, as long as others succeed. */
  #mayPostpone(error: unknown, { step, work }: Task<RestoreWork>): boolean {
    const server = PostgresError.of(error);
    if (work.kind !== 'rows' || !server || server.severity === 'FATAL') return false;
    const isReader = this.plan.readers.includes(step);
    if (!isReader && !REFUSED_BY_FUNCTION.test(server.code)) return false;
    if (this.#postponed.get(work) === this.#loaded) return false;
    this.#postponed.set(work, this.#loaded);
    postponeReader(this.plan, step);
    return true;
  }

  /**
   * Whether the restore goes on without what the server refused; then it is noted. PostgreSQL up to 17 can't attach the
   * index of an exclusion constraint to the one above it, which pg_dump asks for.
   */
  #tolerates(error: unknown, entry: ArchiveEntry): boolean {
    const code = PostgresError.of(error)?.code;
    if (code === '42P17' && entry.desc === 'INDEX ATTACH') {
      this.#request.tell([{ kind: 'indexAlone', entry }]);
      return true;
    }
    const leaf = code === DENIED ? this.#request.tried.refuse(entry) : null;
    if (leaf !== null) this.#request.tell([{ kind: 'leftOut', entry, reason: leftToSuperuser(leaf) }]);
    return leaf !== null;
  }

  #stages(): Stage<RestoreWork>[] {
    const weights = new Map<number, number>();
    const stages: Stage<RestoreWork>[] = [];
    const objects = partsByEntry(this.#request.archive, this.#request.parts);
    for (const step of this.plan.data) {
      const tasks = this.#dataTasks(step.entry, objects);
      const weight = tasks.reduce((sum, task) => sum + ('part' in task ? task.part.bytes : 0), 0);
      for (const id of [step.entry.dumpId, ...step.entry.dependencies]) weights.set(id, weight);
      stages.push({ step, tasks, weight });
    }
    for (const step of this.plan.postData) stages.push(this.#postDataStage(step, weights));
    return stages;
  }

  #postDataStage(step: PlanStep, weights: Map<number, number>): Stage<RestoreWork> {
    let weight = 0;
    for (const id of step.uses) weight = Math.max(weight, weights.get(id) ?? 0);
    const { statements } = this.#adapted(step.entry);
    return { step, tasks: statements.length > 0 ? [{ kind: 'statements', statements }] : [], weight };
  }

  #dataTasks(entry: ArchiveEntry, parts: (entry: ArchiveEntry) => StoredPart[] | undefined): RestoreWork[] {
    if (entry.desc === 'BLOBS') return (parts(entry) ?? []).map(part => ({ kind: 'largeObjects', part }));
    if (entry.desc !== 'TABLE DATA') {
      const { statements } = this.#adapted(entry);
      return statements.length > 0 ? [{ kind: 'statements', statements }] : [];
    }
    const rows = parts(entry);
    if (!rows || entry.copyStmt === null) {
      throw faultError(
        'ROWS_MISSING',
        `the snapshot lists rows of ${quoteQualified(entry.namespace, entry.tag)} but holds none`,
        "run 'tidemark verify' on it, and restore another snapshot",
      );
    }
    return rows.map(part => ({ kind: 'rows', part, copy: entry.copyStmt! }));
  }

  #adapted(entry: ArchiveEntry): EntryStatements {
    const { archive, options, profile, reporter } = this.#request;
    const { statements, notes } = adapt(entry, entryStatements(archive, entry, options), profile);
    for (const note of notes) reporter.note(note);
    return { entry, statements };
  }

  /** The last commit, waited for: everything before it is durable then too. */
  async closeLoaders(): Promise<void> {
    const flush = 'SET synchronous_commit = on; SELECT pg_catalog.pg_current_xact_id()';
    await this.#loaders[0]!.run({ kind: 'statements', statements: [flush] });
    await Promise.all(this.#loaders.map(loader => loader.close()));
    await this.#pool.close();
  }

  /** Stops what runs on the server, so that the database can be dropped at once. */
  async abandon(): Promise<void> {
    const pids = this.#loaders.filter(loader => loader.busy).map(loader => loader.pid);
    if (pids.length > 0) {
      const session = await Session.open(this.#request.settings).catch(() => undefined);
      for (const pid of pids)
        await session?.query('select pg_catalog.pg_cancel_backend($1)', [pid]).catch(() => {});
      await session?.close();
    }
    await this.#pool.close();
  }

  tables(): RestoredTable[] {
    return this.plan.data
      .filter(step => step.entry.desc === 'TABLE DATA')
      .map(({ entry }) => ({
        name: `${entry.namespace}.${entry.tag}`,
        rows: this.#rows.get(entry.oid) ?? 0,
      }));
  }

  #explain(error: unknown, entry: ArchiveEntry): unknown {
    const what = entryName(entry);
    const server = PostgresError.of(error);
    if (server) {
      const secret = mayHoldSecret(entry);
      const remedy = remedyFor(server, entry, this.#request.settings.database);
      const otherwise = this.#wayRound(entry);
      return server.explained({ code: 'RESTORE_FAILED', what, remedy, otherwise, secret });
    }
    return error instanceof TidemarkError ? errorAt(what, error) : error;
  }

  /** What else could be done: stock tools go on after an error, and leave out what they are told to. */
  #wayRound(entry: ArchiveEntry): string {
    const { snapshot } = this.#request;
    if (this.plan.readers.some(step => step.entry === entry))
      return `a check or a generated column of it calls a function that may read other tables, and no order of loading was found; 'tidemark export ${snapshot} --format plain' writes a script in which that can be added after the rows`;
    return `to go without this object: 'tidemark export ${snapshot} --format custom' writes an archive that pg_restore reads, and --use-list of pg_restore leaves out what you choose`;
  }
}

/** Indexes are built in memory where the server has some to spare; a share of what its owner gave it, never less than set. */
const RAISE_MAINTENANCE_MEMORY = `SELECT pg_catalog.set_config('maintenance_work_mem', greatest(m.setting::pg_catalog.int8, least(262144, b.setting::pg_catalog.int8 * 8 / 4))::pg_catalog.text || 'kB', false)
 FROM pg_catalog.pg_settings m, pg_catalog.pg_settings b WHERE m.name = 'maintenance_work_mem' AND b.name = 'shared_buffers'`;

const BUILT_BY_OWNER = new Set(['INDEX', 'CONSTRAINT']);

/** A check's verdict, or what a function raised: it may have read a table that has no rows yet. */
const REFUSED_BY_FUNCTION = /^(?:23514|P0|2F|38|39)/;

const DENIED = '42501';

function remedyFor(
  { code, message }: PostgresError,
  entry: ArchiveEntry,
  database: string,
): string | undefined {
  const { desc, owner } = entry;
  if (code === DENIED && desc === 'EXTENSION')
    return `let a superuser run this in a new, empty database, then restore into it with --to: ${statementToHandOver(entry)}`;
  if (code === DENIED && owner && / schema public$/.test(message))
    return `schema public is its database's owner's: ALTER DATABASE ${quoteName(database)} OWNER TO ${quoteName(owner)}, or GRANT CREATE ON SCHEMA public TO ${quoteName(owner)}`;
  if (code === DENIED)
    return 'the role of the connection may not do that; restore as the owner or a superuser, or see --no-owner and --no-privileges';
  if (code === '53100') return "the target server's disk is full: make room there";
  if (code === '42704' && /\brole\b/.test(message))
    return '--roles creates the roles that the snapshot knows';
  if (desc === 'EXTENSION' && ['0A000', '58P01'].includes(code))
    return "install the extension's package on the target server";
  return undefined;
}
