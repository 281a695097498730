import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { tidemark } from '../support/cli.ts';

test('the demo restores what was deleted and leaves nothing behind', async () => {
  const before = new Set(readdirSync(tmpdir()).filter(name => name.startsWith('tidemark-demo-')));
  const ran = await tidemark(tmpdir(), ['demo', '--json']);
  assert.equal(ran.code, 0, ran.stderr);
  const result = JSON.parse(ran.stdout);
  assert.equal(result.ok, true);
  assert.equal(result.rowsDeleted, 450_400);
  assert.ok(result.secondBytesAdded < result.firstBytesAdded / 4, 'the second backup adds little');
  assert.deepEqual(
    readdirSync(tmpdir()).filter(name => name.startsWith('tidemark-demo-') && !before.has(name)),
    [],
  );
});
