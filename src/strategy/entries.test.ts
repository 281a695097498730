import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { BASE, faults, load, withDatabase, withPlan, withRepository } from './sample.ts';
import type { Strategy } from './spec.ts';

function assertRepositories(strategy: Strategy): void {
  assert.deepEqual(strategy.repositories.get('a'), {
    name: 'a',
    storage: { kind: 'local', path: '/var/backups/x y' },
    key: { kind: 'env', variable: 'TIDEMARK_KEY' },
    limits: { connections: null, bytesPerSecond: null },
    storageClass: null,
    lock: null,
    residency: null,
    capacityBytes: null,
  });
  const { storage, limits, lock, residency, capacityBytes } = strategy.repositories.get('b')!;
  assert.deepEqual(storage, { kind: 'local', path: '/people/ann' });
  assert.deepEqual(limits, { connections: 4, bytesPerSecond: 50e6 });
  assert.deepEqual(lock, { mode: 'governance', forMs: 14 * 86_400_000 });
  assert.deepEqual([residency, capacityBytes], [['eu'], 2 * 2 ** 40]);
}

test('reads every key', async () => {
  const strategy = await load(
    `databases:
  shop:
    host: \${PGHOST:-localhost}
    port: \${PGPORT:-6543}
    user: ann
    password_file: secrets/pw
    dbname: shop
    sslmode: verify-full
    sslrootcert: system
    sslcert: ./c.pem
    sslkey: /etc/k.pem
  other: { service: main, password: "12$\${x}" }
  third: { url_file: ~/url }
repositories:
  a: { storage: "file:///var/backups/x%20y/", key: { env: TIDEMARK_KEY } }
  b: { storage: ~, key: { passphrase_file: pass }, limit: 50MB/s, connections: 4, capacity: 2TiB,
       lock: { mode: governance, for: 2w }, residency: [eu] }
plans:
  p:
    database: shop
    capture: logical
    schedule: manual
    store: [a, b]
    keep: { within: 2d, count: 5, hourly: 0, daily: 7, weekly: "4", monthly: 12, yearly: 7, min: 3 }
    tables: { include: [public.*], exclude: [public.log_*] }
    schema_only: \${NO:-false}
    data_only: true
    jobs: \${JOBS:-4}
    compression: 19
    role_passwords: false
`.replace('storage: ~,', 'storage: "~",'),
  );
  assert.deepEqual(strategy.databases.get('shop')?.connection, {
    host: 'localhost',
    port: 6543,
    user: 'ann',
    passwordFile: path.join(strategy.folder, 'secrets/pw'),
    dbname: 'shop',
    sslmode: 'verify-full',
    sslrootcert: 'system',
    sslcert: path.join(strategy.folder, 'c.pem'),
    sslkey: '/etc/k.pem',
  });
  assert.deepEqual(strategy.databases.get('other')?.connection, { service: 'main', password: '12$' + '{x}' });
  assert.deepEqual(strategy.databases.get('third')?.connection, { urlFile: '/people/ann/url' });
  assertRepositories(strategy);
  const plan = strategy.plans.get('p')!;
  assert.deepEqual(plan.keep, {
    withinMs: 172_800_000,
    last: 5,
    daily: 7,
    weekly: 4,
    monthly: 12,
    yearly: 7,
    min: 3,
  });
  assert.deepEqual(plan.tables, { include: ['public.*'], exclude: ['public.log_*'] });
  assert.deepEqual([plan.schedule, plan.schemaOnly, plan.dataOnly], [null, false, true]);
  assert.deepEqual([plan.jobs, plan.compression, plan.rolePasswords], [4, 19, false]);
});

test('names: any text without a slash', async () => {
  const named = (name: string) =>
    faults(`${BASE}  ${name}: { database: shop, schedule: manual, store: [primary] }\n`);
  for (const name of ['2024', 'true', '"with space"', 'größe', '__proto__', 'constructor', 'x'.repeat(63)])
    assert.deepEqual(await named(name), [], name);
  for (const name of ['a/b', '""', '"a\\nb"', 'x'.repeat(64)])
    assert.deepEqual(await named(name), ["7:3 a plan can't be called that"], name);
  assert.deepEqual(await faults(`${BASE}  ? [a]\n  : {}\n`), ['7:5 a key must be text']);
});

test('how a database is reached', async () => {
  const of = async (entry: string) =>
    (await faults(withDatabase(entry))).map(fault => fault.replace(/^\S+ /, ''));
  assert.deepEqual(await of('{ dbname: x }'), ['databases.shop does not say where it is']);
  assert.deepEqual(await of('{ url: "postgres://h/x", host: h }'), ['databases.shop has both url and host']);
  assert.deepEqual(await of('{ host: h, password: a, password_file: b }'), [
    'databases.shop has both password and password_file',
  ]);
  assert.deepEqual(await of('{ url: "mysql://ann:hunter2@h/x" }'), [
    'databases.shop: url is not a PostgreSQL URL',
  ]);
  assert.deepEqual(await of('{ host: h, password: 12 }'), [
    'databases.shop.password must be text, it is a number',
  ]);
  assert.deepEqual(await of('{ host: h, port: 0, sslmode: verify_full }'), [
    'databases.shop.port must be a whole number from 1 to 65535',
    'databases.shop.sslmode can\'t be "verify_full"',
  ]);
  assert.deepEqual(await of('{ url: }'), ['databases.shop.url must be text, it is empty']);
  assert.deepEqual(await of('{ host: h, objectives: { rpo: 0h } }'), [
    'databases.shop.objectives.rpo: "0h" is not a duration',
  ]);
});

test('storages and keys', async () => {
  const of = async (entry: string) =>
    (await faults(withRepository(entry))).map(fault => fault.replace(/^\S+ /, ''));
  assert.deepEqual(await of('{ storage: "ftp://x", key: { file: k } }'), [
    'repositories.primary: storage is on ftp://, which is no storage',
  ]);
  assert.deepEqual(await of('{ storage: "file://host/x", key: { file: k } }'), [
    'repositories.primary: storage is not a file:// URL',
  ]);
  assert.deepEqual(await of('{ storage: ./b }'), ['repositories.primary lacks key']);
  assert.deepEqual(await of('{ storage: ./b, key: {} }'), [
    'repositories.primary: key must say one thing, it says nothing',
  ]);
  assert.deepEqual(await of('{ storage: ./b, key: { file: k, env: TIDEMARK_KEY } }'), [
    'repositories.primary: key must say one thing, it says file and env',
  ]);
  assert.deepEqual(await of('{ storage: ./b, key: { env: "s3cr-et" } }'), [
    'repositories.primary.key.env must be the name of an environment variable, not its value',
  ]);
  assert.deepEqual(await of('{ storage: ./b, key: { file: k }, class: ARCHIVE }'), [
    'repositories.primary: storage is a folder, which has no class',
  ]);
});

test('plans', async () => {
  const of = async (more: string) => (await faults(withPlan(more))).map(fault => fault.replace(/^\S+ /, ''));
  assert.deepEqual(await of('capture: physical'), [
    'physical capture is not supported yet: it comes with a later version',
  ]);
  assert.deepEqual(await of('capture: logcal'), ['plans.daily.capture can\'t be "logcal"']);
  assert.deepEqual(
    await of('schema_only: true, data_only: true'),
    [
      'databases.shop: no plan can meet the RPO of 1d: none captures its rows',
      'plans.daily wants only the schema and only the data',
    ].slice(1),
  );
  assert.deepEqual(await of('tables: { include: [] }'), [
    'plans.daily.tables.include must name at least one table',
  ]);
  assert.deepEqual(await of('jobs: 1.5, role_passwords: maybe'), [
    'plans.daily.jobs must be a whole number from 1 to 64',
    'plans.daily.role_passwords must be true or false',
  ]);
  for (const nothing of ['{}', '{ last: 0 }', '{ last: 0, daily: "0" }']) {
    assert.deepEqual(await of(`keep: ${nothing}`), ['plans.daily: keep would keep nothing'], nothing);
  }
  assert.deepEqual(await of('keep: { last: 1, count: 1 }'), [
    'keep has both last and count, which are the same',
  ]);
  assert.deepEqual(await of('keep: 30'), ["plans.daily.keep can't be a number"]);
  assert.deepEqual(await of('keep: { daily: -1 }'), [
    'plans.daily.keep.daily must be a whole number from 0 to 1000000',
  ]);
  assert.deepEqual(await faults(BASE.replace('[primary]', '[primary, primary]')), [
    '6:68 plans.daily stores to "primary" twice',
  ]);
  assert.deepEqual(await of('jobs: 2'), []);
});

test('contradictions: retention and schedule, objectives and schedules, two repositories in one place', async () => {
  assert.deepEqual(await faults(withPlan('keep: 12h')), [
    '6:75 plans.daily keeps for 12h, but up to 1d pass between snapshots',
  ]);
  assert.deepEqual(await faults(withPlan('keep: { daily: 7, within: 12h }')), [
    '6:95 plans.daily keeps for 12h, but up to 1d pass between snapshots',
  ]);
  const rpo = '2:54 databases.shop: no plan can meet the RPO of 1d: ';
  assert.deepEqual(await faults(BASE.replace('0 2 * * *', '0 2 * * 1-5')), [
    `${rpo}up to 3d pass between snapshots`,
  ]);
  assert.deepEqual(await faults(BASE.replace('"0 2 * * *"', 'manual')), [
    `${rpo}all of its plans are manual`,
  ]);
  assert.deepEqual(await faults(withPlan('schema_only: true')), [`${rpo}none captures its rows`]);
  const weekends = '  weekend: { database: shop, schedule: "0 2 * * 0,6", store: [primary] }\n';
  assert.deepEqual(await faults(BASE.replace('0 2 * * *', '0 2 * * 1-5') + weekends), []);
  const twice = BASE.replace('plans:', '  second: { storage: ./x/../backups/, key: { file: k } }\nplans:');
  assert.deepEqual(await faults(twice), [
    '5:22 repositories.second lies on the same storage as repositories.primary',
  ]);
});
