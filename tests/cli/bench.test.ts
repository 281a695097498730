import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const TOP = resolve(import.meta.dirname, '../..');

/** It says nothing of speed, since so little data is all start-up. */
test('the bench runs, and measures every work of ours that it has', async () => {
  const options = ['--size', '0.005', '--runs', '1', '--tables', '10', '--peers', 'pg_dump | zstd', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [join(TOP, 'bench/main.ts'), ...options]);
  const { results } = JSON.parse(stdout) as { results: { work: string; tool: string }[] };
  const works = results.filter(each => each.tool === 'tidemark').map(each => each.work);
  const all = ['first', 'restore', 'verify', 'unchanged', 'newest', 'scattered'];
  const memory = ['tables backup', 'tables restore', 'rows backup', 'rows restore'];
  assert.deepEqual(works, [...all, ...memory]);
});
