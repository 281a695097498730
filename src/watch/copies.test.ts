import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CopiesFacts, judgeCopies, type PlanFacts, type RepositoryFacts } from './copies.ts';
import { OWN, ownerOf, siteOfFolder, siteOfHost } from './site.ts';

const DAY_MS = 86_400_000;
const HERE = siteOfHost('/var/run/postgresql', 'database');

const plan = (name: string, store: string[], more: Partial<PlanFacts> = {}): PlanFacts => ({
  ...{ name, store, intervalMs: DAY_MS, whole: true },
  ...more,
});
const folder = (name: string, fileSystem: string | null = null, offsite: boolean | null = null) => ({
  ...{ name, offsite },
  ...siteOfFolder(fileSystem),
});
const bucket = (
  name: string,
  host = 's3.amazonaws.com',
  offsite: boolean | null = null,
): RepositoryFacts => ({
  ...{ name, offsite },
  ...siteOfHost(host, 'objects'),
});

function judged(facts: Partial<CopiesFacts>) {
  const all = judgeCopies({ database: 'shop', at: HERE, rpoMs: null, plans: [], repositories: [], ...facts });
  return new Map(all.map(each => [each.check, each]));
}

test('three copies on two kinds of storage, one off-site', () => {
  const found = judged({
    plans: [plan('daily', ['near', 'far'])],
    repositories: [folder('near'), bucket('far')],
  });
  assert.deepEqual(found.get('3-2-1'), {
    check: '3-2-1',
    level: 'ok',
    message:
      '3 copies (the database, near, far); on 2 kinds of storage (the disk of this machine, object storage at AWS); off-site in far',
    hint: '',
  });
  assert.equal(found.get('copies')!.message, 'daily stores in near, far: 3 copies with the database itself');
});

test('what is missing is said, with what is nearest to be done', () => {
  const one = judged({ plans: [plan('daily', ['near'])], repositories: [folder('near')] }).get('3-2-1')!;
  assert.equal(one.level, 'warning');
  assert.match(one.message, /^2 copies \(the database, near\); on 1 kind of storage .*; none off-site$/);
  assert.match(
    one.hint,
    /^it lacks a third copy and a second kind of storage and a copy off-site: add a repository/,
  );

  const unused = judged({
    plans: [plan('weekly', ['near'], { intervalMs: 7 * DAY_MS }), plan('daily', ['near'])],
    repositories: [folder('near'), bucket('far')],
  }).get('3-2-1')!;
  assert.match(unused.hint, /let plan daily store in far too: store: \[near, far\]$/);

  const disks = judged({
    plans: [plan('daily', ['near', 'usb'])],
    repositories: [folder('near'), folder('usb', '/mnt/usb')],
  }).get('3-2-1')!;
  assert.match(disks.message, /on 2 kinds of storage \(.*the file system at \/mnt\/usb\); none off-site/);
  assert.match(disks.hint, /^it lacks a copy off-site: .*offsite: true/);

  const same = judged({
    plans: [plan('daily', ['a'])],
    repositories: [bucket('a'), bucket('b')],
  }).get('3-2-1')!;
  assert.match(same.hint, /^it lacks a third copy: let plan daily store in b too/);
});

test('off-site is told from where the database is, unless the strategy knows better', () => {
  const rule = (at: string, repository: RepositoryFacts) =>
    judged({
      at: siteOfHost(at, 'database'),
      plans: [plan('daily', [repository.name])],
      repositories: [repository],
    }).get('3-2-1')!.message;
  assert.match(rule('db.eu-west-1.rds.amazonaws.com', bucket('x')), /none off-site/);
  assert.match(rule('ep-x.eu-central-1.aws.neon.tech', bucket('x')), /off-site in x/);
  assert.match(rule('ep-x.eu-central-1.aws.neon.tech', folder('x')), /off-site in x/);
  assert.match(rule('10.0.0.5', folder('x')), /none off-site/);
  assert.match(rule('10.0.0.5', bucket('x', 'minio.lan')), /none off-site/);
  assert.match(rule('10.0.0.5', bucket('x', 'minio.lan', true)), /off-site in x/);
  assert.match(rule('localhost', bucket('x', undefined, false)), /none off-site/);
});

test('copies off-site that are older than the objectives ask for', () => {
  const facts = {
    rpoMs: DAY_MS,
    repositories: [folder('near'), bucket('far')],
  };
  const weekly = plan('weekly', ['far'], { intervalMs: 7 * DAY_MS });
  const found = judged({ ...facts, plans: [plan('daily', ['near']), weekly] });
  assert.equal(found.get('3-2-1')!.level, 'ok');
  assert.match(found.get('off-site')!.message, /in far, can be 7d old \(plan weekly\); the RPO is 1d/);
  assert.match(found.get('off-site')!.hint, /let plan daily store in far too$/);
  const manual = judged({ ...facts, plans: [plan('daily', ['near']), { ...weekly, intervalMs: null }] });
  assert.match(manual.get('off-site')!.message, /only when somebody runs plan weekly/);
  assert.equal(judged({ ...facts, plans: [plan('daily', ['near', 'far'])] }).get('off-site'), undefined);
});

test('plans that capture a part count only where none captures all', () => {
  const part = plan('schema', ['far'], { whole: false });
  const repositories = [folder('near'), bucket('far')];
  assert.match(
    judged({ plans: [plan('daily', ['near']), part], repositories }).get('3-2-1')!.message,
    /^2 copies/,
  );
  assert.match(judged({ plans: [part], repositories }).get('3-2-1')!.message, /off-site in far/);
  assert.equal(judged({ repositories }).size, 0);
});

test('owners of hosts', () => {
  for (const host of [
    'localhost',
    '127.0.0.1',
    '::1',
    '[::1]',
    '/run/postgresql',
    'db',
    'nas.local',
    'x.internal',
    '192.168.1.4',
    '172.20.1.1',
    'fd00::1',
    '100.100.1.1',
    'DB.LAN.',
  ])
    assert.equal(ownerOf(host), OWN, host);
  for (const [host, owner] of [
    ['172.32.1.1', '172.32.1.1'],
    ['8.8.8.8', '8.8.8.8'],
    ['2001:db8::1', '2001:db8::1'],
    ['s3.eu-west-1.amazonaws.com', 'AWS'],
    ['acc.blob.core.windows.net', 'Azure'],
    ['x.postgres.database.azure.com', 'Azure'],
    ['storage.googleapis.com', 'Google Cloud'],
    ['fra1.digitaloceanspaces.com', 'DigitalOcean'],
    ['notamazonaws.com', 'notamazonaws.com'],
    ['fsn1.your-objectstorage.com', 'your-objectstorage.com'],
  ] as const)
    assert.equal(ownerOf(host), owner, host);
});
