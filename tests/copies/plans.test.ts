/** A plan with several repositories: captured once, copied to the others, and what of it stands when one of them fails. */
import assert from 'node:assert/strict';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { BackupResult, FailedCopy, StoredCopy } from '../../src/operations/backup/backup.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, pgDumpText, query } from '../support/databases.ts';
import { difference } from '../support/fingerprint.ts';
import { server } from '../support/servers.ts';

const PLANS = `plans:
  daily: { database: shop, schedule: manual, store: [main, near, far], keep: 30d }
`;
const FOLDERS: Record<string, string> = { main: 'repository', near: 'near', far: 'far' };

async function shop(t: TestContext, plans = PLANS): Promise<{ site: Site; database: Database }> {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create table item as select i, md5(i::text) as t from generate_series(1, 20000) i; select lo_from_bytea(0, 'object')`,
  );
  const site = await makeSite({ shop: database.url }, plans, ['near', 'far']);
  t.after(async () => {
    await site.remove();
    await database.drop();
  });
  return { site, database };
}

const ids = async (site: Site, repository: string) => {
  const found = await readdir(join(site.folder, FOLDERS[repository]!, 'snapshots')).catch(() => []);
  return found.map(name => name.split('.')[0]!).sort();
};

/** A backup of which a copy fails: exit code 1, and what it says. */
async function partly(site: Site): Promise<BackupResult> {
  const { code, stdout, stderr } = await site.run('backup', 'shop', '--json');
  assert.equal(code, 1, stdout + stderr);
  return JSON.parse(stdout) as BackupResult;
}

const states = ({ copies }: BackupResult) => copies.map(each => [each.repository, each.state]);
const error = (result: BackupResult, repository: string) =>
  (result.copies.find(each => each.repository === repository) as FailedCopy).error.code;

/** Nothing can be written where the folder of its objects should be. */
async function breakPacks(site: Site, repository: string): Promise<() => Promise<void>> {
  const packs = join(site.folder, FOLDERS[repository]!, 'packs');
  await rename(packs, `${packs}-away`).catch(() => {});
  await writeFile(packs, '');
  return async () => {
    await rm(packs);
    await rename(`${packs}-away`, packs).catch(() => {});
  };
}

test('a plan with three repositories captures once and stores three whole copies', async t => {
  const { site, database } = await shop(t);
  const made = await site.json<BackupResult>('backup', 'shop');
  assert.deepEqual(states(made), [
    ['main', 'stored'],
    ['near', 'stored'],
    ['far', 'stored'],
  ]);
  const sizes = (made.copies as StoredCopy[]).map(each => each.bytesAdded);
  assert.ok(Math.max(...sizes) < Math.min(...sizes) * 1.1, `${sizes}`);
  assert.equal(made.bytesAdded, sizes[0]);
  const again = await site.json<BackupResult>('backup', 'shop');
  for (const copy of again.copies as StoredCopy[]) assert.ok(copy.bytesAdded < sizes[0]! / 20);
  for (const name of Object.keys(FOLDERS))
    assert.deepEqual(await ids(site, name), [made.snapshot, again.snapshot]);
  const { snapshots } = await site.json<{ snapshots: unknown[] }>('verify', '--all');
  assert.equal(snapshots.length, 6);
  await rm(join(site.folder, 'repository'), { recursive: true });
  await rm(join(site.folder, 'near'), { recursive: true });
  await site.json('restore', again.snapshot, '--new', `${database.name}_2`);
  const restored = (await server(15)).url(`${database.name}_2`);
  assert.equal(difference(await pgDumpText(database.url), await pgDumpText(restored)), '');
  const text = await site.run('backup', 'shop');
  assert.equal(text.code, 1);
  assert.match(text.stdout, /^FAILED in main: there is no repository in .*\[REPOSITORY_MISSING\]$/m);
  assert.match(
    text.stdout,
    /the snapshot in far stands; .* tidemark copy --from far --to main --database shop/,
  );
});

test('the first repository that can be written gets the capture, the others a copy; failures are told', async t => {
  const { site } = await shop(t);
  const first = await site.json<BackupResult>('backup', 'shop');
  const mend = await breakPacks(site, 'main');
  const second = await partly(site);
  assert.deepEqual(states(second), [
    ['main', 'failed'],
    ['near', 'stored'],
    ['far', 'stored'],
  ]);
  assert.equal(error(second, 'main'), 'STORAGE_NOT_A_FOLDER');
  assert.deepEqual(await ids(site, 'main'), [first.snapshot]);
  assert.deepEqual(await ids(site, 'far'), [first.snapshot, second.snapshot]);
  await mend();

  const key = join(site.folder, 'near.key');
  await rename(key, `${key}.away`);
  await writeFile(key, `tidemark-key-1:${'a'.repeat(52)}:66687aad\n`, { mode: 0o600 });
  const third = await partly(site);
  assert.deepEqual(states(third), [
    ['main', 'stored'],
    ['near', 'failed'],
    ['far', 'stored'],
  ]);
  assert.equal(error(third, 'near'), 'KEY_WRONG');
  const [caught] = third.copies as StoredCopy[];
  assert.deepEqual([caught!.caughtUp, caught!.missing], [[second.snapshot], []]);
  await rename(`${key}.away`, key);

  const fourth = await site.json<BackupResult>('backup', 'shop');
  assert.deepEqual(
    (fourth.copies as StoredCopy[]).map(each => each.caughtUp),
    [[], [third.snapshot], []],
  );
  for (const name of Object.keys(FOLDERS)) {
    assert.deepEqual(
      await ids(site, name),
      [first, second, third, fourth].map(each => each.snapshot),
    );
  }
  assert.equal((await site.json<{ snapshots: unknown[] }>('verify', '--all')).snapshots.length, 12);
});

test('a copy that fails late leaves nothing listed there, and a failing database is asked once', async t => {
  const { site, database } = await shop(t);
  const mend = await breakPacks(site, 'far');
  const made = await partly(site);
  assert.deepEqual(states(made).at(-1), ['far', 'failed']);
  assert.deepEqual(await ids(site, 'far'), []);
  await mend();
  await site.json('copy', '--from', 'near', '--to', 'far');
  assert.deepEqual(await ids(site, 'far'), [made.snapshot]);
  await site.json('verify', '--all');

  await query(
    database.url,
    'create role blind login; create schema hidden; create table hidden.t (a int)',
  ).catch(() => {});
  const url = new URL(database.url);
  url.username = 'blind';
  await writeFile(
    join(site.folder, 'tidemark.yaml'),
    `databases:\n  shop: { url: ${JSON.stringify(String(url))} }\nrepositories:\n${Object.entries(FOLDERS)
      .map(
        ([name, folder]) =>
          `  ${name}: { storage: ./${folder}, key: { file: ./${name === 'main' ? 'tidemark' : name}.key } }`,
      )
      .join('\n')}\n${PLANS}`,
  );
  const refused = await site.run('backup', 'shop', '--json');
  assert.equal(refused.code, 1);
  assert.equal((JSON.parse(refused.stdout) as { error: { code: string } }).error.code, 'PRIVILEGE_MISSING');
  for (const name of Object.keys(FOLDERS)) assert.deepEqual(await ids(site, name), [made.snapshot]);
});

test('where no repository can be written, all reasons are given and nothing is reported as stored', async t => {
  const { site } = await shop(t);
  await breakPacks(site, 'main');
  await rm(join(site.folder, 'near'), { recursive: true });
  await rm(join(site.folder, 'far.key'));
  const ran = await site.run('backup', 'shop');
  assert.equal(ran.code, 1, ran.stderr);
  assert.equal(ran.stdout, '');
  for (const reason of ['STORAGE_NOT_A_FOLDER', 'REPOSITORY_MISSING', 'KEY_MISSING'])
    assert.match(ran.stderr, new RegExp(`no repository of the plan could be written: .*\\[${reason}\\]`));
});

interface Listed {
  snapshots: { snapshot: string; repository: string; repositories: string[] }[];
  errors: { repository: string; error: { code: string } }[];
  unreadable: { repository: string; snapshot: string }[];
}

test('list says where each snapshot is; what is broken in one repository is told, and read from another', async t => {
  const { site, database } = await shop(t);
  const first = await site.json<BackupResult>('backup', 'shop');
  await rm(join(site.folder, 'far.key'));
  const second = await partly(site);
  const list = async (code: number, ...args: string[]) => {
    const ran = await site.run('list', '--json', ...args);
    assert.equal(ran.code, code, ran.stderr);
    return JSON.parse(ran.stdout) as Listed;
  };
  const broken = await list(1);
  assert.deepEqual(
    broken.snapshots.map(each => [each.snapshot, each.repositories]),
    [first, second].map(each => [each.snapshot, ['main', 'near']]),
  );
  assert.deepEqual(
    broken.errors.map(each => [each.repository, each.error.code]),
    [['far', 'KEY_MISSING']],
  );
  assert.match((await site.run('list')).stderr, /failed: far: there is no key file/);
  assert.deepEqual((await list(0, '--repository', 'near')).snapshots.length, 2);

  await writeFile(join(site.folder, 'repository/snapshots', second.snapshot), 'rubbish');
  const damaged = await list(1, 'shop');
  assert.deepEqual(
    damaged.snapshots.map(each => each.repositories),
    [['main', 'near'], ['near']],
  );
  assert.deepEqual(
    damaged.unreadable.map(each => [each.repository, each.snapshot]),
    [['main', second.snapshot]],
  );

  const shown = await site.run('show', 'shop');
  assert.equal(shown.code, 3, shown.stderr);
  assert.match(shown.stdout, /^DAMAGED +in main; see tidemark verify/m);
  assert.match(shown.stdout, new RegExp(`^snapshot +${second.snapshot}`));
  assert.match(shown.stdout, /^repository +near, also in main, copied .* from the repository/m);
  assert.match(shown.stderr, new RegExp(`warning: ${second.snapshot} can't be read in main`));
  assert.match(shown.stderr, /warning: repository far can't be read/);
  await site.json('restore', 'shop', '--new', `${database.name}_3`);
  const only = await site.run(
    'restore',
    second.snapshot,
    '--new',
    `${database.name}_4`,
    '--repository',
    'main',
  );
  assert.equal(only.code, 3, only.stderr);
  const verified = await site.run('verify', '--repository', 'near', '--all');
  assert.equal(verified.code, 0, verified.stdout);
  assert.equal(
    (await site.run('verify')).code,
    3,
    'one is damaged, and one repository could not be looked at',
  );
});

test('a restore that meets damage says where else the snapshot is', async t => {
  const { site, database } = await shop(t, PLANS.replace(', far', ''));
  const { snapshot } = await site.json<BackupResult>('backup', 'shop');
  const packs = join(site.folder, 'repository/packs', snapshot);
  for (const name of await readdir(packs)) {
    const bytes = await readFile(join(packs, name));
    if (bytes.length > 100_000) await writeFile(join(packs, name), bytes.fill(0, 1000, 50_000));
  }
  const ran = await site.run('restore', 'shop', '--new', `${database.name}_5`);
  assert.equal(ran.code, 3, ran.stderr);
  assert.match(ran.stderr, /\[SEAL_BROKEN\]/);
  assert.match(ran.stderr, /the snapshot is in near too: --repository near/);
  await site.json('restore', 'shop', '--new', `${database.name}_5`, '--repository', 'near');
});

test('check states the 3-2-1 rule, and with --online what is really there', async t => {
  const { site } = await shop(t);
  const findings = async (...args: string[]) => {
    const { findings } = await site.json<{ findings: { check: string; level: string; message: string }[] }>(
      'check',
      ...args,
    );
    return (check: string) => {
      const found = findings.filter(each => each.check === check);
      return found.map(({ level, message }) => `${level}: ${message}`);
    };
  };
  const offline = await findings();
  assert.deepEqual(offline('copies'), [
    'ok: daily stores in main, near, far: 4 copies with the database itself',
  ]);
  assert.match(offline('3-2-1')[0]!, /^warning: 4 copies .*; none off-site$/);
  assert.deepEqual(offline('newest'), []);
  assert.deepEqual((await findings('--online'))('newest'), [
    'warning: there is no whole snapshot of it in main, near, far',
  ]);

  const strategy = join(site.folder, 'tidemark.yaml');
  const text = await readFile(strategy, 'utf8');
  await writeFile(strategy, text.replace('storage: ./far,', 'storage: ./far, offsite: true,'));
  assert.match((await findings())('3-2-1')[0]!, /off-site in far$/);
  const { snapshot } = await site.json<BackupResult>('backup', 'shop');
  assert.deepEqual((await findings('--online'))('newest'), [
    `ok: ${snapshot} in main, near, far, 0 minutes old`,
  ]);
  await rm(join(site.folder, 'far/snapshots'), { recursive: true });
  const behind = (await findings('--online'))('newest');
  assert.match(behind[1]!, /^warning: there is nothing whole of it in far yet/);
});
