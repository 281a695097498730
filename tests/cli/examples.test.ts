/**
 * The five strategies of examples/: each is right as it stands, and each is walked through years of its calendar. What is
 * left at a date is compared with what the team's table says, worked out by hand.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { loadStrategy } from '../../src/strategy/load.ts';
import { Calendar, days, hours, months, weeks } from '../support/calendar.ts';
import { tidemark } from '../support/cli.ts';

const FOLDER = join(import.meta.dirname, '../../examples');
const ENVIRONMENT = { DATABASE_URL: 'postgresql://me@localhost/x', TIDEMARK_KEY: newKeyText() };
const START = '2026-01-01 00:00';

async function calendar(example: string, manual: Record<string, string[]> = {}): Promise<Calendar> {
  const strategy = await loadStrategy(join(FOLDER, example, 'tidemark.yaml'), ENVIRONMENT);
  return new Calendar(strategy, START, manual);
}

const years = (from: number, to: number, time: string) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i}-01-01 ${time}`);

for (const { name, ...entry } of readdirSync(FOLDER, { withFileTypes: true }).filter(each =>
  each.isDirectory(),
)) {
  test(`examples/${name} is right as it stands`, async () => {
    const ran = await tidemark(join(entry.parentPath, name), ['check', '--json'], ENVIRONMENT);
    const { ok, findings } = JSON.parse(ran.stdout) as { ok: boolean; findings: { level: string }[] };
    assert.deepEqual(
      [ran.code, ok, findings.filter(each => each.level === 'fault')],
      [0, true, []],
      ran.stdout,
    );
  });
}

test('Rephlo: 30 days, 90 days before deployments, a year of weeks, 3 of months, 7 years', async () => {
  const deployments = ['2026-03-02 10:00', '2026-05-20 16:00', '2027-02-01 09:00'];
  const rephlo = await calendar('rephlo', { 'before-deploy': deployments });

  rephlo.until('2026-02-10 12:00');
  assert.deepEqual(rephlo.left('daily', 'primary'), days('2026-01-12', '2026-02-10', '02:00'));
  assert.deepEqual(rephlo.left('weekly', 'archive'), weeks('2026-01-04', '2026-02-08', '03:00'));
  assert.deepEqual(rephlo.left('monthly', 'archive'), ['2026-01-01 03:30', '2026-02-01 03:30']);
  assert.deepEqual(rephlo.left('yearly', 'archive'), ['2026-01-01 03:45']);

  rephlo.until('2026-05-31 10:00'); // 90 days after the first, which is not too old yet
  for (const repository of ['primary', 'far'])
    assert.deepEqual(rephlo.left('before-deploy', repository), deployments.slice(0, 2));
  rephlo.until('2026-05-31 10:01');
  assert.deepEqual(rephlo.left('before-deploy', 'far'), deployments.slice(1, 2));

  rephlo.until('2026-12-01 12:00');
  assert.deepEqual(rephlo.left('before-deploy', 'primary'), []);
  assert.deepEqual(rephlo.left('before-deploy', 'far'), deployments.slice(1, 2), 'the last good one there');
  rephlo.until('2027-02-02 12:00');
  assert.deepEqual(rephlo.left('before-deploy', 'far'), deployments.slice(2));

  rephlo.until('2027-06-13 12:00');
  assert.deepEqual(rephlo.left('weekly', 'archive'), weeks('2026-06-14', '2027-06-13', '03:00'));
});

test('Rephlo: to the minute, over leap years, and nothing else is left', async () => {
  const rephlo = await calendar('rephlo');
  rephlo.until('2029-03-01 03:30');
  assert.deepEqual(rephlo.left('monthly', 'archive'), months('2026-03', '2029-02', '03:30'));
  rephlo.until('2029-03-01 03:31');
  assert.deepEqual(rephlo.left('monthly', 'archive'), months('2026-04', '2029-03', '03:30'));

  rephlo.until('2033-01-01 03:45');
  assert.deepEqual(rephlo.left('yearly', 'archive'), years(2026, 2032, '03:45'));
  rephlo.until('2033-01-01 03:46');
  assert.deepEqual(rephlo.left('yearly', 'archive'), years(2027, 2033, '03:45'));

  rephlo.until('2034-06-15 12:00');
  assert.deepEqual(rephlo.left('daily', 'primary'), days('2034-05-17', '2034-06-15', '02:00'));
  assert.deepEqual(rephlo.left('weekly', 'archive'), weeks('2033-06-19', '2034-06-11', '03:00'));
  assert.deepEqual(rephlo.left('monthly', 'archive'), months('2031-07', '2034-06', '03:30'));
  assert.deepEqual(rephlo.left('yearly', 'archive'), years(2028, 2034, '03:45'));
  assert.deepEqual(
    [rephlo.count('primary'), rephlo.count('far'), rephlo.count('archive')],
    [30, 0, 52 + 36 + 7],
  );
});

test('Joffre: 30 days, weeks longer, months 90 days; 30 days on the own machine, whatever it is', async () => {
  const changes = ['2026-03-02 10:00', '2026-03-20 10:00', '2026-04-25 10:00'];
  const joffre = await calendar('joffre', { 'before-change': changes });
  joffre.until('2026-05-31 10:01');
  assert.deepEqual(joffre.left('before-change', 'remote'), changes.slice(1));
  joffre.until('2026-06-15 12:00');
  for (const repository of ['local', 'remote'])
    assert.deepEqual(joffre.left('daily', repository), days('2026-05-17', '2026-06-15', '02:00'));
  assert.deepEqual(joffre.left('weekly', 'remote'), weeks('2026-04-19', '2026-06-14', '02:00'));
  assert.deepEqual(joffre.left('weekly', 'local'), weeks('2026-05-17', '2026-06-14', '02:00'));
  assert.deepEqual(joffre.left('monthly', 'remote'), months('2026-04', '2026-06', '02:00'));
  assert.deepEqual(joffre.left('before-change', 'remote'), changes.slice(1));
  assert.deepEqual(joffre.left('before-change', 'local'), []);
  assert.deepEqual([joffre.count('local'), joffre.count('remote')], [30 + 5, 30 + 9 + 3 + 2]);
});

test('Pulse: 7 days, 4 weeks, 12 months, 7 years, 30 days before deployments', async () => {
  const deployments = ['2026-11-01 15:00', '2026-11-20 15:00'];
  const pulse = await calendar('pulse', { 'before-deploy': deployments });
  pulse.until('2026-12-01 12:00');
  assert.deepEqual(pulse.left('daily', 'primary'), days('2026-11-25', '2026-12-01', '02:00'));
  assert.deepEqual(pulse.left('weekly', 'primary'), weeks('2026-11-08', '2026-11-29', '01:00'));
  assert.deepEqual(pulse.left('monthly', 'glacier'), months('2026-01', '2026-12', '03:00'));
  assert.deepEqual(pulse.left('yearly', 'deep'), ['2026-01-01 04:00']);
  assert.deepEqual(pulse.left('before-deploy', 'primary'), deployments);
  pulse.until('2026-12-01 15:01');
  assert.deepEqual(pulse.left('before-deploy', 'primary'), deployments.slice(1));

  pulse.until('2033-06-12 00:30');
  assert.deepEqual(pulse.left('weekly', 'primary'), weeks('2033-05-15', '2033-06-05', '01:00'));
  pulse.until('2033-06-12 01:30');
  assert.deepEqual(pulse.left('weekly', 'primary'), weeks('2033-05-22', '2033-06-12', '01:00'));
  pulse.until('2033-06-15 12:00');
  assert.deepEqual(pulse.left('daily', 'primary'), days('2033-06-09', '2033-06-15', '02:00'));
  assert.deepEqual(pulse.left('monthly', 'glacier'), months('2032-07', '2033-06', '03:00'));
  assert.deepEqual(pulse.left('yearly', 'deep'), years(2027, 2033, '04:00'));
  assert.deepEqual(
    ['primary', 'glacier', 'deep'].map(each => pulse.count(each)),
    [7 + 4, 12, 7],
  );
});

test('Pulse: when backups stop, the counts stay, and the last good one of each repository', async () => {
  const pulse = await calendar('pulse', { 'before-deploy': ['2033-06-14 15:00'] });
  pulse.until('2033-06-15 12:00');
  pulse.running = false;
  pulse.until('2035-01-10 12:00');
  assert.deepEqual(pulse.left('daily', 'primary'), days('2033-06-09', '2033-06-15', '02:00'));
  assert.deepEqual(pulse.left('weekly', 'primary'), weeks('2033-05-22', '2033-06-12', '01:00'));
  assert.deepEqual(pulse.left('before-deploy', 'primary'), []);
  assert.deepEqual(pulse.left('monthly', 'glacier'), ['2033-06-01 03:00']);
  assert.deepEqual(pulse.left('yearly', 'deep'), years(2029, 2033, '04:00'));
});

test('Aicitel: 24 hours, 30 days, 3 months as the calendar has them', async () => {
  const aicitel = await calendar('aicitel');
  aicitel.until('2026-06-15 12:30');
  assert.deepEqual(aicitel.left('hourly', 'bucket'), hours('2026-06-14 13:00', '2026-06-15 12:00'));
  assert.deepEqual(aicitel.left('daily', 'bucket'), days('2026-05-17', '2026-06-15', '02:00'));
  assert.deepEqual(aicitel.left('weekly', 'nas'), weeks('2026-03-22', '2026-06-14', '03:00'));
  assert.deepEqual([aicitel.count('bucket'), aicitel.count('nas')], [24 + 30, 13]);
  aicitel.until('2027-02-28 23:59');
  assert.deepEqual(aicitel.left('weekly', 'nas'), weeks('2026-11-29', '2027-02-28', '03:00'));
  aicitel.until('2027-03-01 00:01');
  assert.deepEqual(aicitel.left('weekly', 'nas'), weeks('2026-12-06', '2027-02-28', '03:00'));
});

test('User management: hours for 7 days, days for 30, weeks for 90, months for a year', async () => {
  const changes = ['2026-02-10 10:00', '2026-07-01 10:00'];
  const users = await calendar('user-management', { 'before-change': changes });
  users.until('2027-03-10 12:30');
  assert.deepEqual(users.left('hourly', 'primary'), hours('2027-03-03 13:00', '2027-03-10 12:00'));
  assert.deepEqual(users.left('daily', 'primary'), days('2027-02-09', '2027-03-10', '02:00'));
  assert.deepEqual(users.left('weekly', 'far'), weeks('2026-12-13', '2027-03-07', '03:00'));
  assert.deepEqual(users.left('monthly', 'far'), months('2026-04', '2027-03', '04:00'));
  for (const repository of ['primary', 'far'])
    assert.deepEqual(users.left('before-change', repository), changes);
  assert.deepEqual([users.count('primary'), users.count('far')], [168 + 30 + 2, 13 + 12 + 2]);
  users.until('2028-03-01 03:59');
  assert.deepEqual(
    users.left('monthly', 'far'),
    months('2027-03', '2028-02', '04:00'),
    'a leap year is a year',
  );
});

test('the plans in the guide are right, and those of the five tables are the examples’', async t => {
  const guide = await readFile(join(FOLDER, '../docs/guides/retention.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(each => each[1]!);
  assert.equal(blocks.length, 7);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-guide-'));
  t.after(() => rm(folder, { recursive: true }));
  const examples: unknown[] = [];
  for (const name of ['rephlo', 'joffre', 'pulse', 'aicitel', 'user-management'])
    examples.push(parse(await readFile(join(FOLDER, name, 'tidemark.yaml'), 'utf8')).plans);
  const same: number[] = [];
  for (const block of blocks) {
    const names = [...block.matchAll(/\b(primary|archive|far|local|remote|glacier|deep|bucket|nas)\b/g)].map(
      each => each[1]!,
    );
    const databases = [...new Set([...block.matchAll(/database: (\w+)/g)].map(each => each[1]!))];
    const head = [
      'databases:',
      ...databases.map(name => `  ${name}: { url: postgresql://localhost/x }`),
      'repositories:',
      ...[...new Set(names)].map(name => `  ${name}: { storage: ./${name}, key: { file: ./key } }`),
    ];
    await writeFile(join(folder, 'tidemark.yaml'), `${head.join('\n')}\n${block}`);
    await loadStrategy(join(folder, 'tidemark.yaml'), {});
    const { plans } = parse(block);
    same.push(examples.findIndex(each => isDeepStrictEqual(each, plans)));
  }
  assert.deepEqual(same, [-1, 0, -1, 1, 2, 3, 4]);
});
