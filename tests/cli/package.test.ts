import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { packProject, tryPackage } from '../../scripts/package.ts';

test('the package, installed into an empty folder, runs the demo', t => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-packed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { version, demo } = tryPackage(packProject(folder));
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.equal(demo.ok, true);
});
