import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeNewest, type StoredFacts } from './newest.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const stored = (name: string, hoursOld: number | null, intervalMs: number | null = DAY_MS): StoredFacts => ({
  ...{ name, plan: 'daily', intervalMs, plans: ['daily'] },
  newest:
    hoursOld === null
      ? null
      : { snapshot: `s${hoursOld}`, plan: 'daily', started: new Date(NOW.getTime() - hoursOld * HOUR_MS) },
});

function judged(repositories: StoredFacts[], rpoMs: number | null = DAY_MS): string[] {
  return judgeNewest({ database: 'shop', now: NOW, rpoMs, repositories }).map(
    ({ check, level, message, hint }) => {
      assert.equal(check, 'newest');
      assert.equal(hint === '', level === 'ok');
      return `${level}: ${message}${hint && ` | ${hint}`}`;
    },
  );
}

test('what is new everywhere is fine', () => {
  assert.deepEqual(judged([stored('near', 3), stored('far', 3)]), [
    'ok: s3 in near, far, 3 hours old; the RPO is 1d',
  ]);
  assert.deepEqual(judged([stored('near', 25)], null), ['ok: s25 in near, 25 hours old']);
  const other = { ...stored('far', 400, null), plans: ['weekly'] };
  assert.deepEqual(judged([stored('near', 1, null), other]), [
    'ok: s1 in near, 60 minutes old; the RPO is 1d',
  ]);
  assert.deepEqual(judged([]), []);
});

test('a repository that is behind another is told, with the command that brings it up', () => {
  assert.deepEqual(judged([stored('near', 3), stored('far', 240), stored('new', null)]), [
    'ok: s3 in near, 3 hours old; the RPO is 1d',
    'warning: the newest in far is 10 days old; plan daily stores there every 1d | bring it what it lacks: tidemark copy --from near --to far --database shop',
    'warning: there is nothing whole of it in new yet, where plan daily stores it | bring it what it lacks: tidemark copy --from near --to new --database shop',
  ]);
});

test('a repository that lacks what a plan stores in both is told, however new what it has is', () => {
  for (const intervalMs of [DAY_MS, null])
    assert.deepEqual(judged([stored('near', 3), stored('far', 5, intervalMs)]), [
      'ok: s3 in near, 3 hours old; the RPO is 1d',
      'warning: far lacks s3, which near has; plan daily stores in both | bring it what it lacks: tidemark copy --from near --to far --database shop',
    ]);
});

test('a database that nobody backed up in time', () => {
  const [rpo, late] = judged([stored('near', 50)]);
  assert.match(
    rpo!,
    /^warning: s50 in near, 2 days old; the RPO is 1d \| take one now: tidemark backup shop;/,
  );
  assert.match(late!, /^warning: the newest in near is 2 days old; .* \| see why plan daily did not run/);
  assert.deepEqual(judged([stored('near', null), stored('far', null)]), [
    'warning: there is no whole snapshot of it in near, far | take one: tidemark backup shop',
  ]);
});
