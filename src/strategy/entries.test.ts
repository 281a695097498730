import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { BASE, faults, load, withDatabase, withPlan, withRepository } from './sample.ts';
import type { Strategy } from './spec.ts';

function assertRepositories(strategy: Strategy): void {
  assert.deepEqual(strategy.repositories.get('a'), {
    name: 'a',
    storage: { kind: 'local', path: '/var/backups/x y' },
    address: 'file:///var/backups/x%20y/',
    region: null,
    key: { kind: 'env', variable: 'TIDEMARK_KEY' },
    limits: { connections: null, bytesPerSecond: null },
    storageClass: null,
    lock: null,
    residency: null,
    offsite: null,
    capacityBytes: null,
    missing: [],
  });
  const { storage, limits, lock, residency, capacityBytes } = strategy.repositories.get('b')!;
  assert.deepEqual(storage, { kind: 'local', path: '/people/ann' });
  assert.deepEqual(limits, { connections: 4, bytesPerSecond: 50e6 });
  assert.deepEqual(lock, { mode: 'governance', forMs: 14 * 86_400_000 });
  assert.deepEqual([residency, capacityBytes], [['eu'], 2 * 2 ** 40]);
}

function assertKept(strategy: Strategy): void {
  const plan = strategy.plans.get('p')!;
  assert.deepEqual(plan.store, ['a', 'b', 'c']);
  assert.deepEqual(
    [...plan.keep.values()],
    [
      {
        within: { months: 0, ms: 172_800_000 },
        last: 5,
        daily: 7,
        weekly: 4,
        monthly: { months: 18, ms: 0 },
        yearly: 7,
        min: 3,
      },
      { within: { months: 12, ms: 0 } },
      null,
    ],
  );
  const safety = [...strategy.databases.values()].map(each => each.safetyKeep);
  assert.deepEqual(safety, [
    { within: { months: 0, ms: 7 * 86_400_000 }, min: 1 },
    { within: { months: 0, ms: 7 * 86_400_000 }, min: 1 },
    { within: { months: 0, ms: 14 * 86_400_000 }, daily: 3, min: 1 },
    null,
  ]);
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
  third: { url_file: ~/url, safety: { keep: { within: 2w, daily: 3 } } }
  fourth: { service: other, safety: { keep: forever } }
repositories:
  a: { storage: "file:///var/backups/x%20y/", key: { env: TIDEMARK_KEY } }
  b: { storage: ~, key: { passphrase_file: pass }, limit: 50MB/s, connections: 4, capacity: 2TiB,
       lock: { mode: governance, for: 2w }, residency: [eu] }
  c: { storage: /c, key: { file: k } }
plans:
  p:
    database: shop
    capture: logical
    schedule: manual
    store: [a, { repository: b, keep: 1y }, { repository: c, keep: forever }]
    keep: { within: 2d, count: 5, hourly: 0, daily: 7, weekly: "4", monthly: 1y6mo, yearly: 7, min: 3 }
    tables: { include: [public.*], exclude: [public.log_*] }
    schema_only: \${NO:-false}
    data_only: true
    jobs: \${JOBS:-4}
    lock_wait: 90s
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
  assertKept(strategy);
  const plan = strategy.plans.get('p')!;
  assert.deepEqual(plan.tables, { include: ['public.*'], exclude: ['public.log_*'] });
  assert.deepEqual([plan.schedule, plan.schemaOnly, plan.dataOnly], [null, false, true]);
  assert.deepEqual([plan.jobs, plan.compression, plan.rolePasswords], [4, 19, false]);
  assert.equal(plan.lockWaitMs, 90_000);
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
  assert.deepEqual(await of('{ storage: ./b, key: { kms: "arn:aws:kms:x" } }'), [
    'repositories.primary.key.kms: "arn:aws:kms:x" is not a key in a service',
  ]);
  assert.deepEqual(await of('{ storage: ./b, key: { age_identity_env: "AGE-SECRET" } }'), [
    'repositories.primary.key.age_identity_env must be the name of an environment variable, not its value',
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
  assert.deepEqual(await of('keep: { within: 5, min: 1 }'), [
    'plans.daily.keep.within must be text, it is a number',
  ]);
  assert.deepEqual(await of('keep: 30'), ["plans.daily.keep can't be a number"]);
  assert.deepEqual(await of('keep: { daily: -1 }'), [
    'plans.daily.keep.daily must be a whole number from 0 to 1000000, or a length of time such as 1y',
  ]);
  assert.deepEqual(await of('keep: 30 days'), ['plans.daily.keep: "30 days" is not a length of time']);
  assert.deepEqual(await of('keep: { within: 0mo, weekly: 3x }'), [
    'plans.daily.keep.within: "0mo" is not a length of time',
    'plans.daily.keep.weekly must be a whole number from 0 to 1000000, or a length of time such as 1y',
  ]);
  assert.deepEqual(await faults(BASE.replace('[primary]', '[primary, primary]')), [
    '6:68 plans.daily stores to "primary" twice',
  ]);
  assert.deepEqual(await of('jobs: 2'), []);
});

test('what stays, repository by repository', async () => {
  const base = withRepository(
    '{ storage: ./a, key: { file: k } }\n  archive: { storage: ./b, key: { file: k } }',
  );
  const of = async (plan: string) =>
    (await faults(base.replace('store: [primary], keep: 30d', plan))).map(fault =>
      fault.replace(/^\S+ /, ''),
    );
  assert.deepEqual(await of('store: [primary, { repository: archive, keep: 7y }], keep: 30d'), []);
  assert.deepEqual(await of('store: [{ repository: archive, keep: { monthly: 3y } }]'), []);
  assert.deepEqual(await of('store: [{ repository: archve, keep: 7y }]'), [
    'plans.daily: no repository is called "archve"',
  ]);
  assert.deepEqual(await of('store: [{ repository: archive }]'), ['plans.daily.store[0] lacks keep']);
  assert.deepEqual(await of('store: [{ repository: archive, keep: 7y, kep: 1 }]'), [
    'plans.daily.store[0] has no key "kep"',
  ]);
  assert.deepEqual(await of('store: [{ repository: archive, keep: { dayly: 7 } }]'), [
    'plans.daily.store[0].keep has no key "dayly"',
  ]);
  assert.deepEqual(await of('store: [primary, { repository: primary, keep: 1y }]'), [
    'plans.daily stores to "primary" twice',
  ]);
  assert.deepEqual(await of('store: [{ repository: primary, keep: { last: 0 } }]'), [
    'plans.daily: keep would keep nothing',
  ]);
  assert.deepEqual(await of('store: [{ repository: primary, keep: 1y }], keep: 30d'), [
    'plans.daily: keep counts nowhere: each of its repositories has its own',
  ]);
  assert.deepEqual(await of('store: [primary, { repository: archive, keep: 12h }], keep: 30d'), [
    'plans.daily keeps for 12h, but up to 1d pass between snapshots',
  ]);
  assert.deepEqual(await of('store: [5]'), ["plans.daily.store[0] can't be a number"]);
});

test('safety snapshots: their keep, and their name', async () => {
  const of = async (safety: string) =>
    (await faults(withDatabase(`{ service: x, safety: ${safety} }`))).map(fault =>
      fault.replace(/^\S+ /, ''),
    );
  assert.deepEqual(await of('{ keep: { within: 14d, last: 3 } }'), []);
  assert.deepEqual(await of('{}'), ['databases.shop.safety lacks keep']);
  assert.deepEqual(await of('{ keep: { last: 0 } }'), ['databases.shop: keep would keep nothing']);
  assert.deepEqual(await faults(BASE.replace('daily:', 'safety:')), [
    "6:3 a plan can't be called safety: snapshots taken before a restore in place are",
  ]);
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

test('where keys are', async () => {
  const of = async (key: string) => {
    const { repositories } = await load(withRepository(`{ storage: ./b, key: { ${key} } }`), {
      DATABASE_URL: 'postgresql://h/shop',
      I: 'x',
    });
    return repositories.get('primary')?.key;
  };
  assert.deepEqual(await of('age_identity_env: I'), { kind: 'ageEnv', variable: 'I' });
  assert.deepEqual(await of('age_identity_file: /etc/age.txt'), { kind: 'ageFile', path: '/etc/age.txt' });
  const services = {
    'aws:arn:aws:kms:eu-west-1:111122223333:key/mrk-12ab': 'aws-kms',
    'aws:arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/backups/main': 'aws-kms',
    'gcp:projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k': 'gcp-kms',
    'azure:https://v.vault.azure.net/keys/backups': 'azure-kv',
    'azure:https://v.managedhsm.azure.net/keys/backups/0a1b': 'azure-kv',
  };
  for (const [kms, service] of Object.entries(services)) {
    const key = kms.slice(kms.indexOf(':') + 1);
    assert.deepEqual(await of(`kms: "${kms}"`), { kind: 'kms', service, key });
  }
  for (const wrong of [
    'aws:key/1',
    'gcp:projects/p',
    'azure:http://v.vault.azure.net/keys/x',
    'azure:https://v/keys/',
  ])
    assert.equal(
      (await faults(withRepository(`{ storage: ./b, key: { kms: "${wrong}" } }`))).length,
      1,
      wrong,
    );
});
