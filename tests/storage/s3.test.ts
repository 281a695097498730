/** The whole way on S3: what a person does, by the command line, on Ceph's radosgw. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  GetObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type Ran, tidemark } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { type Radosgw, radosgw } from '../support/radosgw.ts';
import { makeBucket, stockClient } from '../support/s3Buckets.ts';
import { server } from '../support/servers.ts';

const DAY_MS = 24 * 3600_000;
const folders: string[] = [];
let rgw: Radosgw;
let stock: S3Client;
let database: Database;

before(async () => {
  rgw = await radosgw();
  stock = await stockClient();
  await makeBucket('rephlo');
  await makeBucket('rephlo-locked', { locks: true });
  database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create table notes (id int primary key, text text);
     insert into notes select i, repeat(md5(i::text), 20) from generate_series(1, 20000) i`,
  );
});

after(() => {
  stock.destroy();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Site {
  folder: string;
  run(...args: string[]): Promise<Ran>;
  json<T = Record<string, unknown>>(...args: string[]): Promise<T>;
}

/** A folder with a strategy whose keys to the bucket are in a file of variables. */
function site(place: string, { more = '', databases = true, secret = rgw.user.secretAccessKey } = {}): Site {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-s3-'));
  folders.push(folder);
  const url = databases ? `{ db: { url: ${JSON.stringify(database.url)} } }` : '{}';
  writeFileSync(join(folder, '.env'), `S3_ID=${rgw.user.accessKeyId}\nS3_SECRET=${secret}\n`);
  writeFileSync(
    join(folder, 'tidemark.yaml'),
    `databases: ${url}
repositories:
  main:
    storage: "s3://${place}?endpoint=${rgw.endpoint}"
    key: { file: ./main.key }
    credentials: { access_key_id: "\${S3_ID}", secret_access_key: "\${S3_SECRET}" }
${more}`,
  );
  const run = async (...args: string[]): Promise<Ran> => {
    const ran = await tidemark(folder, args);
    assert.ok(!`${ran.stdout}${ran.stderr}`.includes(secret), 'a secret was printed');
    return ran;
  };
  return {
    folder,
    run,
    async json<T>(...args: string[]) {
      const ran = await run(...args, '--json');
      assert.equal(ran.code, 0, ran.stdout + ran.stderr);
      return JSON.parse(ran.stdout) as T;
    },
  };
}

test('init, back up twice, verify, restore on another machine, forget, prune', async () => {
  const made = site('rephlo/main');
  await made.json('init');
  const online = await made.run('check', '--online');
  assert.equal(online.code, 0, online.stdout + online.stderr);
  assert.match(online.stdout, /an object could be written, read back and removed/);
  const first = await made.json('backup', 'db');
  assert.equal(first.rows, 20_000);
  await query(database.url, `update notes set text = 'changed' where id = 7`);
  const second = await made.json('backup', 'db');
  assert.ok(Number(second.bytesAdded) < Number(first.bytesAdded) / 2, 'the second finds the first');
  assert.equal((await made.json('verify', '--all')).ok, true);

  const elsewhere = site('rephlo/main', { databases: false });
  copyFileSync(join(made.folder, 'main.key'), join(elsewhere.folder, 'main.key'));
  const { snapshots } = await elsewhere.json<{ snapshots: { snapshot: string }[] }>('list');
  assert.equal(snapshots.length, 2);
  const target = await freshDatabase(await server(15));
  await elsewhere.json('restore', String(second.snapshot), '--to', target.url);
  const all = 'select id, text from notes order by id';
  assert.deepEqual(await query(target.url, all), await query(database.url, all));
  await target.drop();

  await made.json('forget', String(first.snapshot), '--yes');
  await made.json('prune', '--yes');
  assert.equal((await made.json('verify', '--all')).ok, true);
});

test('damage in a bucket: rebuilt from what is left, healed from another bucket', async () => {
  const credentials = `credentials: { access_key_id: "\${S3_ID}", secret_access_key: "\${S3_SECRET}" }`;
  const plan = 'plans:\n  daily: { database: db, schedule: manual, store: [main] }\n';
  const storage = `"s3://rephlo/second?endpoint=${rgw.endpoint}"`;
  const made = site('rephlo/hurt', {
    more: `  archive:\n    storage: ${storage}\n    key: { file: ./archive.key }\n    ${credentials}\n${plan}`,
  });
  await made.json('init');
  await made.json('backup', 'db');
  await made.json('copy', '--from', 'main', '--to', 'archive', '--all');
  const verified = async () => (await made.run('verify', '--all', '--repository', 'main')).code;
  const repaired = async (...args: string[]) => {
    const ran = await made.run(...args, '--yes', '--json');
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    return (JSON.parse(ran.stdout) as { snapshots: { state: string }[] }).snapshots.map(each => each.state);
  };

  await changeLargest('hurt/packs/', bytes => bytes.subarray(0, bytes.length - 10));
  assert.equal(await verified(), 3);
  assert.deepEqual(await repaired('repair', 'main'), ['rebuilt']);
  assert.equal(await verified(), 0);
  await changeLargest('hurt/packs/', bytes => {
    bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  });
  assert.equal(await verified(), 3);
  assert.deepEqual(await repaired('heal', '--all'), ['healed']);
  assert.equal(await verified(), 0);
});

/** Writes something else in place of the newest of the largest objects in a folder. */
async function changeLargest(Prefix: string, how: (bytes: Buffer) => Buffer): Promise<void> {
  const Bucket = 'rephlo';
  const { Contents } = await stock.send(new ListObjectsV2Command({ Bucket, Prefix }));
  const large = Contents!.filter(({ Size }) => Size! > 100_000).map(({ Key }) => Key!);
  const Key = large.sort().at(-1)!;
  const { Body } = await stock.send(new GetObjectCommand({ Bucket, Key }));
  const bytes = Buffer.from(await Body!.transformToByteArray());
  await stock.send(new PutObjectCommand({ Bucket, Key, Body: how(bytes) }));
}

test('a second init does not touch a repository that is there', async () => {
  const made = site('rephlo/twice');
  await made.json('init');
  const other = site('rephlo/twice');
  const ran = await other.run('init');
  assert.notEqual(ran.code, 0, ran.stdout);
  assert.ok(!existsSync(join(other.folder, 'main.key')), 'no key that opens nothing');
  assert.deepEqual((await made.json<{ snapshots: unknown[] }>('list')).snapshots, []);
});

test('class and lock of the strategy are those of the packs', async () => {
  const made = site('rephlo-locked/main', {
    more: '    class: STANDARD_IA\n    lock: { mode: governance, for: 30d }\n',
  });
  await made.json('init');
  const { snapshot } = await made.json('backup', 'db');
  assert.ok(snapshot);
  const Bucket = 'rephlo-locked';
  const { Contents } = await stock.send(new ListObjectsV2Command({ Bucket, Prefix: 'main/packs/' }));
  const classes = await Promise.all(
    Contents!.map(async ({ Key }) => {
      const { StorageClass = 'STANDARD' } = await stock.send(new HeadObjectCommand({ Bucket, Key }));
      const { Retention } = await stock.send(new GetObjectRetentionCommand({ Bucket, Key }));
      assert.equal(Retention?.Mode, 'GOVERNANCE', Key);
      const days = (Retention!.RetainUntilDate!.getTime() - Date.now()) / DAY_MS;
      assert.ok(days > 29 && days < 31, `${Key} is locked for ${days} days`);
      return StorageClass;
    }),
  );
  assert.ok(classes.includes('STANDARD_IA'), String(classes));
  assert.equal((await made.json('verify', '--all')).ok, true);
});

test('a wrong secret, a missing bucket: told once, with what to do', async () => {
  const made = site('rephlo/secret');
  await made.json('init');
  const other = site('rephlo/secret', { secret: 'x'.repeat(40) });
  copyFileSync(join(made.folder, 'main.key'), join(other.folder, 'main.key'));
  const mistyped = await other.run('list');
  assert.equal(mistyped.code, 1);
  assert.match(mistyped.stderr, /\[STORAGE_CREDENTIALS\]/);
  const nowhere = await site('rephlo-nowhere/main').run('init');
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /there is no bucket rephlo-nowhere[\s\S]*create the bucket/);
});
