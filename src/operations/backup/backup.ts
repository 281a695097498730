import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { logicalFacts } from '../../capture/logical/part.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { requireClock } from '../../repository/clock.ts';
import { DEFAULT_LEVEL } from '../../repository/format/seal.ts';
import { Lease } from '../../repository/guards/lease.ts';
import { type Manifest, newSessionId } from '../../repository/manifest.ts';
import type { PlanSpec, Strategy } from '../../strategy/spec.ts';
import { copySnapshot } from '../copy/copySnapshot.ts';
import {
  connectionOf,
  databaseOf,
  isFrozen,
  type OpenPlace,
  openPlace,
  repositoryOf,
  storesOf,
} from '../open/open.ts';
import { allFailed } from '../open/snapshots.ts';
import { backup } from './capture.ts';
import { catchUp } from './catchUp.ts';

export interface BackupOptions {
  tables?: string[];
  excludeTables?: string[];
  schemaOnly: boolean;
  dataOnly: boolean;
  rolePasswords: boolean | null;
  jobs: number | null;
  /** How long is waited for tables that others keep locked; null: as the plan says. */
  lockWaitMs?: number | null;
  /** Where the database is, if not where the strategy says; the snapshot names the strategy's all the same. */
  connection?: ConnectionSettings;
  /** Into the first repository that can be written, and no other. */
  once?: boolean;
  version: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** What `tidemark backup --json` prints; sizes in bytes, times ISO 8601. */
export interface BackupResult {
  snapshot: string;
  database: string;
  plan: string | null;
  started: string;
  finished: string;
  seconds: number;
  tables: number;
  rows: number;
  largeObjects: number;
  bytesRead: number;
  bytesAdded: number;
  /** One for each repository the plan stores to, in its order; the fields above are those of the capture. */
  copies: (StoredCopy | FailedCopy)[];
}

export interface StoredCopy {
  repository: string;
  state: 'stored';
  snapshot: string;
  bytesAdded: number;
  /** Earlier snapshots that were brought there too, since it had missed them. */
  caughtUp: string[];
  /** Those that it still lacks. */
  missing: string[];
}

export interface FailedCopy {
  repository: string;
  state: 'failed';
  error: TidemarkError;
}

/**
 * Carries out a plan: captures the database once, into the first of its repositories that can be written (and read again
 * at once, if there is such a one), and copies the snapshot from there into the others. A repository that fails does not stop the others; the call fails only where the
 * database does, or where no repository could be written.
 */
export async function backupDatabase(
  strategy: Strategy,
  database: string,
  plan: PlanSpec | null,
  options: BackupOptions,
): Promise<BackupResult> {
  const settings = options.connection ?? (await connectionOf(strategy, databaseOf(strategy, database)));
  const run = new PlanRun(strategy, database, plan, options);
  const captured = await run.capture(settings);
  if (!options.once) await run.catchUp(await run.copy(captured, settings), captured.manifest);
  return result(captured.manifest, run.copies());
}

/**
 * Fails where no repository of the plan could be opened and written now: a lease is taken in the first that can, and given
 * back. What it throws is what a backup would.
 */
export async function requireWritable(
  strategy: Strategy,
  database: string,
  plan: PlanSpec,
  options: BackupOptions,
): Promise<void> {
  await new PlanRun(strategy, database, plan, options).probe();
}

interface Captured {
  place: OpenPlace;
  manifest: Manifest;
}

class PlanRun {
  readonly #strategy: Strategy;
  readonly #database: string;
  readonly #plan: PlanSpec | null;
  readonly #options: BackupOptions;
  readonly #stores: string[];
  /** The same, in the order in which they are written. */
  readonly #inTurn: string[];
  readonly #copies = new Map<string, StoredCopy | FailedCopy>();

  constructor(strategy: Strategy, database: string, plan: PlanSpec | null, options: BackupOptions) {
    this.#strategy = strategy;
    this.#database = database;
    this.#plan = plan;
    this.#options = options;
    this.#stores = storesOf(strategy, plan);
    this.#inTurn = [...this.#stores].sort((a, b) => Number(this.#isFrozen(a)) - Number(this.#isFrozen(b)));
  }

  #isFrozen(name: string): boolean {
    const spec = repositoryOf(this.#strategy, name);
    return isFrozen(spec, this.#plan?.storageClass ?? spec.storageClass);
  }

  copies(): (StoredCopy | FailedCopy)[] {
    return this.#stores.flatMap(name => this.#copies.get(name) ?? []);
  }

  async probe(): Promise<void> {
    for (const name of this.#inTurn) {
      const place = await this.#open(name);
      if (!place) continue;
      try {
        const lease = await Lease.take(place.repository.storage, newSessionId(new Date()), 'backup');
        await lease.release();
        return;
      } catch (error) {
        this.#options.signal.throwIfAborted();
        this.#failed(name, error);
      }
    }
    throw allFailed('no repository of the plan can be written', this.copies() as FailedCopy[]);
  }

  /** Into the first repository that can be opened and written to the end. */
  async capture(settings: ConnectionSettings): Promise<Captured> {
    for (const name of this.#inTurn) {
      const place = await this.#open(name);
      if (!place) continue;
      try {
        const manifest = await this.#backup(place, settings);
        this.#stored(name, manifest);
        return { place, manifest };
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!place.failed(error)) throw error; // the database's failure would be the same elsewhere
        this.#failed(name, error);
      }
    }
    throw allFailed('no repository of the plan could be written', this.copies() as FailedCopy[]);
  }

  /**
   * From the repository that has it, or from another that has it by then, into the others; all that have it at the end.
   * What is frozen wherever it is can't be copied: then the database is captured once more.
   */
  async copy(captured: Captured, settings: ConnectionSettings): Promise<OpenPlace[]> {
    const sources = [captured];
    for (const name of this.#inTurn) {
      if (this.#copies.has(name)) continue;
      const to = await this.#open(name);
      if (!to) continue;
      const manifest = this.#isFrozen(captured.place.name)
        ? await this.#captureAgain(to, settings)
        : await this.#copyFrom(sources, to);
      if (!manifest) continue;
      this.#stored(name, manifest);
      sources.push({ place: to, manifest });
    }
    return sources.map(each => each.place);
  }

  /** Each from the others, now that all have the newest. */
  async catchUp(places: OpenPlace[], latest: Manifest): Promise<void> {
    const { jobs, version, reporter, signal } = this.#options;
    const run = { strategy: this.#strategy, jobs, version, reporter, signal };
    for (const to of places) {
      const others = places.filter(each => each !== to && !this.#isFrozen(each.name));
      Object.assign(this.#copies.get(to.name)!, await catchUp(run, others, to, latest));
    }
  }

  async #captureAgain(to: OpenPlace, settings: ConnectionSettings): Promise<Manifest | undefined> {
    try {
      return await this.#backup(to, settings);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.#failed(to.name, error);
      return undefined;
    }
  }

  async #open(name: string): Promise<OpenPlace | undefined> {
    try {
      const place = await openPlace(this.#strategy, name, this.#options.signal);
      place.repository.keys.current; // throws where they may not be written with
      await requireClock(place.repository.storage);
      return place;
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.#failed(name, error);
      return undefined;
    }
  }

  #backup({ repository }: OpenPlace, settings: ConnectionSettings): Promise<Manifest> {
    const { tables, excludeTables, schemaOnly, dataOnly, rolePasswords, jobs, lockWaitMs } = this.#options;
    const { version, reporter, signal } = this.#options;
    const plan = this.#plan;
    return backup({
      repository,
      database: this.#database,
      settings,
      plan: plan?.name ?? null,
      scope: {
        tables: tables ?? plan?.tables.include ?? [],
        excludeTables: excludeTables ?? plan?.tables.exclude ?? [],
        schemaOnly: schemaOnly || (plan?.schemaOnly ?? false),
        dataOnly: dataOnly || (plan?.dataOnly ?? false),
        rolePasswords: rolePasswords ?? plan?.rolePasswords ?? null,
        ...(this.#isNarrowed ? { narrowed: true as const } : {}),
      },
      jobs: jobs ?? plan?.jobs ?? null,
      lockWaitMs: lockWaitMs ?? plan?.lockWaitMs ?? null,
      ...this.#how,
      version,
      reporter,
      signal,
    });
  }

  /** Less was asked for by hand than the plan captures. */
  get #isNarrowed(): boolean {
    const { tables, excludeTables, schemaOnly, dataOnly } = this.#options;
    const only = (schemaOnly && !this.#plan?.schemaOnly) || (dataOnly && !this.#plan?.dataOnly);
    return tables !== undefined || excludeTables !== undefined || only;
  }

  get #how(): { level: number; storageClass: string | null } {
    const { compression = DEFAULT_LEVEL, storageClass = null } = this.#plan ?? {};
    return { level: compression, storageClass };
  }

  /** Undefined where it failed, which is noted then. */
  async #copyFrom(sources: readonly Captured[], to: OpenPlace): Promise<Manifest | undefined> {
    const { jobs, version, reporter, signal } = this.#options;
    let failure: unknown;
    for (const { place: from, manifest } of sources) {
      try {
        const request = { from, to, manifest, jobs, ...this.#how, version, reporter, signal };
        return (await copySnapshot(request)) ?? manifest;
      } catch (error) {
        signal.throwIfAborted();
        failure ??= error;
        if (to.failed(error)) break;
      } finally {
        reporter.end();
      }
    }
    this.#failed(to.name, failure);
    return undefined;
  }

  #stored(repository: string, { snapshot, counts: { bytesAdded } }: Manifest): void {
    const copy: StoredCopy = { repository, state: 'stored', snapshot, bytesAdded, caughtUp: [], missing: [] };
    this.#copies.set(repository, copy);
  }

  #failed(repository: string, error: unknown): void {
    const found = asTidemarkError(error);
    this.#options.reporter.note(`warning: repository ${repository} failed: ${found.message} [${found.code}]`);
    this.#copies.set(repository, { repository, state: 'failed', error: found });
  }
}

function result(manifest: Manifest, copies: BackupResult['copies']): BackupResult {
  const { counts } = manifest;
  const { source } = logicalFacts(manifest);
  return {
    snapshot: manifest.snapshot,
    database: manifest.database,
    plan: manifest.plan,
    started: manifest.started,
    finished: manifest.finished,
    seconds: (Date.parse(manifest.finished) - Date.parse(manifest.started)) / 1000,
    tables: source.tables,
    rows: source.rows,
    largeObjects: source.largeObjects,
    bytesRead: counts.bytesRead,
    bytesAdded: counts.bytesAdded,
    copies,
  };
}
