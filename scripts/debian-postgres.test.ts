import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BROUGHT, bringDebianPrograms, debianPrograms } from './debian-postgres.ts';

/** Versions that are installed need no bringing. */
const wanted = BROUGHT.filter(major => debianPrograms(major, '/nonexistent') === undefined);
const hasApt = existsSync('/usr/bin/apt-get');

function bringWith(t: TestContext, environment: Record<string, string>): string[] {
  const before = { ...process.env };
  const cache = mkdtempSync(join(tmpdir(), 'tidemark-cache-'));
  t.after(() => {
    process.env = before;
    rmSync(cache, { recursive: true });
  });
  process.env = { ...before, ...environment };
  const lacks = bringDebianPrograms({ cache });
  assert.deepEqual(readdirSync(cache), []);
  return lacks;
}

test('without apt each version is named, with what would get it', t => {
  const lacks = bringWith(t, { PATH: '/nonexistent' });
  assert.equal(lacks.length, wanted.length);
  for (const [index, major] of wanted.entries()) {
    const sentence = new RegExp(
      `^without PostgreSQL ${major}, .*: can't run apt-get: .*; run npm test where apt`,
    );
    assert.match(lacks[index]!, sentence);
  }
});

test('suites that can not be reached are named, and nothing is left', {
  skip: !hasApt && 'there is no apt-get',
}, t => {
  const nowhere = 'http://127.0.0.1:9';
  const lacks = bringWith(t, { http_proxy: nowhere, https_proxy: nowhere });
  assert.equal(lacks.length, wanted.length);
  for (const lack of lacks)
    assert.match(lack, /no suite has postgresql-.*; W: Failed to fetch http.*InRelease/);
});
