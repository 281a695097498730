/** A database that will be overwritten is named by whoever asks for it, never by variables or defaults. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { resolveNamed } from './named.ts';

const VARIABLES = {
  PGHOST: 'production.example.com',
  PGHOSTADDR: '203.0.113.1',
  PGDATABASE: 'precious',
  PGSERVICE: 'production',
  PGUSER: 'ann',
};

test('neither PG* variables nor defaults decide which database is meant', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-named-'));
  t.after(() => rm(folder, { recursive: true }));
  const PGSERVICEFILE = join(folder, 'services');
  await writeFile(PGSERVICEFILE, '[whole]\nhost=h\ndbname=d\nport=6000\n[half]\nhost=h\n');
  const resolve = (url: string, more = {}) =>
    resolveNamed({ url }, { ...VARIABLES, PGSERVICEFILE, ...more }, folder, '--to');
  for (const url of [
    'postgresql://',
    'postgresql:///',
    'postgresql://h',
    'postgresql://h/',
    'postgresql:///d',
    'postgresql://u@/d',
    'postgresql://h,/d',
    'postgresql://h/?dbname=',
    'host=h',
    'dbname=d',
    'host= dbname=d',
    'user=u',
    'postgresql://?service=half',
    'service=half',
  ])
    await assert.rejects(resolve(url), { code: 'TARGET_UNNAMED', kind: 'usage' }, url);
  await assert.rejects(resolve('postgresql://h/d', { PGPORT: '6543' }), { code: 'TARGET_UNNAMED' });

  for (const [url, host, port, database] of [
    ['postgresql://h/d', 'h', 5432, 'd'],
    ['postgresql://h:6000/d', 'h', 6000, 'd'],
    ['postgresql:///d?host=/run/pg', '/run/pg', 5432, 'd'],
    ['postgresql://h?dbname=d', 'h', 5432, 'd'],
    ['hostaddr=127.0.0.1 dbname=d', '127.0.0.1', 5432, 'd'],
    ['host=h dbname=d', 'h', 5432, 'd'],
    ['service=whole', 'h', 6000, 'd'],
    ['service=half dbname=e', 'h', 5432, 'e'],
  ] as const) {
    const { hosts, database: found, user } = await resolve(url);
    assert.deepEqual([hosts[0]!.host, hosts[0]!.port, found, user], [host, port, database, 'ann'], url);
    assert.equal(hosts[0]!.address ?? host, host, 'PGHOSTADDR leads nowhere else');
  }
});
