import assert from 'node:assert/strict';
import { SILENT } from '../../../src/base/progress.ts';
import { type BackupResult, backupDatabase } from '../../../src/operations/backup/backup.ts';
import { type CopyResult, copy } from '../../../src/operations/copy/copy.ts';
import { openRepository, planOf } from '../../../src/operations/open/open.ts';
import { type PruneResult, prune } from '../../../src/operations/prune/prune.ts';
import type { Manifest } from '../../../src/repository/manifest.ts';
import { freshDatabase, query } from '../../support/databases.ts';
import { server } from '../../support/servers.ts';
import { smallBackup } from '../../support/smallBackup.ts';
import { COMPACT } from './compaction.ts';
import { keyChanges } from './keyChanges.ts';
import { mendings } from './mending.ts';
import type { Operation } from './operation.ts';
import { readings } from './reading.ts';
import { digestOf, type Place, SweepSite } from './site.ts';

const DATABASE = 'swept';
const TABLES = `
  create table account (id int primary key, owner text not null, balance numeric not null);
  insert into account select i, 'owner ' || i, i * 1.5 from generate_series(1, 3000) i;
  create table entry (id bigserial primary key, account int references account, note text);
  insert into entry (account, note) select 1 + i % 3000, md5(i::text) from generate_series(1, 2000) i;
  select lo_from_bytea(0, decode(repeat('00ff10', 5000), 'hex'));`;
const CHANGE = `update account set balance = balance + 1 where id % 50 = 7;
  insert into entry (account, note) select 1 + i % 3000, md5(random()::text) from generate_series(1, 200) i;`;

let database: Promise<string> | undefined;

/** The database all operations share; nobody changes it but `prepare`. */
async function filled(): Promise<string> {
  const { url } = await freshDatabase(await server(15));
  await query(url, TABLES);
  return url;
}

function url(): Promise<string> {
  database ??= filled();
  return database;
}

async function backUp(site: SweepSite): Promise<BackupResult> {
  const strategy = await site.strategy();
  return backupDatabase(strategy, DATABASE, planOf(strategy, DATABASE, undefined), {
    ...{ schemaOnly: false, dataOnly: false, rolePasswords: null, jobs: 1, version: 'sweep' },
    ...{ reporter: SILENT, signal: new AbortController().signal },
  });
}

/** A site whose main repository has so many snapshots, of a database that changed before each but the first. */
export async function siteOf(snapshots: number, places?: readonly Place[]): Promise<SweepSite> {
  const site = await SweepSite.make(DATABASE, await url(), places);
  for (let i = 0; i < snapshots; i++) {
    if (i > 0) await query(await url(), CHANGE);
    await backUp(site);
  }
  await site.learn();
  return site;
}

/** A backup of PostgreSQL, as the command makes it. It takes a second, so the short sweep tries only some positions. */
const BACKUP: Operation<BackupResult> = {
  name: 'backup',
  faulty: 'main',
  every: 5,
  async prepare() {
    const site = await siteOf(1);
    await query(await url(), CHANGE);
    const reference = await site.copy();
    const { snapshot } = await backUp(reference);
    site.captured.add((await digestOf(await reference.open(), snapshot)).rows);
    await reference.remove();
    return site;
  },
  run: backUp,
  async holds(site, { snapshot }) {
    assert.ok((await site.whole('main')).includes(snapshot), `snapshot ${snapshot} was reported`);
  },
};

const BLOCKS = { same: 'unchanged', changed: 'now', added: 'new' };

/** The steps of a backup, in their order, without a database: fast, so that each position is tried. */
const STEPS: Operation<Manifest> = {
  name: 'backup-steps',
  faulty: 'main',
  async prepare() {
    const site = await SweepSite.make(DATABASE, 'postgres://nobody@127.0.0.1/none');
    await smallBackup(await site.open(), { same: 'unchanged', changed: 'before' });
    await site.learn();
    site.captured.add(JSON.stringify(BLOCKS));
    return site;
  },
  run: async site => smallBackup(await openRepository(await site.strategy(), 'main'), BLOCKS),
  async holds(site, { snapshot }) {
    assert.ok((await site.whole('main')).includes(snapshot), `snapshot ${snapshot} was reported`);
  },
};

/** Faults at what the main thread asks of a storage; the threads that read the source's rows open it for themselves. */
function copying(name: string, faulty: Place): Operation<CopyResult> {
  return {
    name,
    faulty,
    async prepare() {
      const site = await siteOf(2, ['main', 'archive']);
      const [first] = await site.whole('main');
      await bring(site, [first!]);
      await site.learn();
      return site;
    },
    run: site => bring(site, []),
    async holds(site, result, saw) {
      const target = await site.whole('archive');
      for (const { snapshot, state } of result.snapshots) {
        assert.ok(state === 'copied' || state === 'there', `snapshot ${snapshot} is ${state}`);
        assert.ok(target.includes(snapshot), `snapshot ${snapshot} was reported`);
      }
      if (saw) assert.deepEqual(target.sort(), (await site.whole('main')).sort(), 'one copy of each');
    },
  };
}

/** What the command would end with as a failure is thrown. */
async function bring(site: SweepSite, given: string[]): Promise<CopyResult> {
  const result = await copy({
    ...{ strategy: await site.strategy(), from: 'main', to: 'archive', dryRun: false, jobs: 1 },
    ...{ given, database: null, all: false, version: 'sweep', reporter: SILENT },
    signal: new AbortController().signal,
  });
  for (const { error } of result.snapshots) if (error) throw error;
  return result;
}

/** Forgets one snapshot, condemns what only it needed, and frees what was condemned a day ago with another. */
const PRUNE: Operation<PruneResult> = {
  name: 'prune',
  faulty: 'main',
  async prepare() {
    const site = await siteOf(5); // what the first has stored the others need too
    const going = (await site.whole('main')).at(-2);
    await site.says(DATABASE, await url(), 2);
    await tidy(site);
    await site.age('main', 'condemned', 25);
    await site.says(DATABASE, await url(), 1);
    const reference = await site.copy();
    const { freed, condemned } = (await tidy(reference)).repositories[0]!;
    assert.ok(freed.packs > 0 && condemned.packs > 0, 'there is something to free and to condemn');
    await reference.remove();
    await site.learn();
    site.mayGo.add(going!);
    return site;
  },
  run: tidy,
  async holds(site, { repositories: [done] }, saw) {
    const listed = await site.whole('main');
    for (const snapshot of done!.forgotten)
      assert.ok(!listed.includes(snapshot), `snapshot ${snapshot} was reported as forgotten`);
    if (saw) assert.equal(listed.length, 1, 'one snapshot is kept');
  },
};

/** Also holds what is said to have been freed against the packs that are there no more. */
async function tidy(site: SweepSite): Promise<PruneResult> {
  const before = await site.objects('main', 'packs');
  const result = await prune({
    ...{
      strategy: await site.strategy(),
      dryRun: false,
      maxDead: 0.5,
      reporter: SILENT,
      confirm: async () => true,
    },
    signal: new AbortController().signal,
  });
  const after = await site.objects('main', 'packs');
  assert.equal(before.length - after.length, result.repositories[0]!.freed.packs, 'packs freed as reported');
  return result;
}

/** All rows of the database; where large objects lie differs. */
async function sumOf(url: string): Promise<string> {
  const [row] = await query<{ sum: string }>(
    url,
    `select md5((select string_agg(a::text, ',' order by id) from account a) ||
      (select string_agg(e::text, ',' order by id) from entry e)) as sum`,
  );
  return row!.sum;
}

export const OPERATIONS: readonly Operation[] = [
  STEPS,
  BACKUP,
  copying('copy-source', 'main'),
  copying('copy-target', 'archive'),
  PRUNE,
  COMPACT,
  ...keyChanges(() => siteOf(1)),
  ...mendings(async () => {
    const site = await siteOf(2, ['main', 'archive']);
    await bring(site, []);
    await site.learn();
    return site;
  }),
  ...readings(() => siteOf(2), { database: DATABASE, url, sum: sumOf }),
] as Operation[];
