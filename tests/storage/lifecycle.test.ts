import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tidemark } from '../support/cli.ts';
import { checkGcs } from '../support/lifecycleGrammar.ts';

const STRATEGY = `databases: {}
repositories:
  cloud:
    storage: gs://bucket/main
    key: { env: NOT_NEEDED_HERE }
    class: NEARLINE
  azure: { storage: azure://account/container, key: { env: NOT_NEEDED_HERE } }
  folder: { storage: ./folder, key: { env: NOT_NEEDED_HERE } }
`;

test('tidemark lifecycle prints the document alone, and beside it how to apply it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-lifecycle-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'tidemark.yaml'), STRATEGY);
  const run = (...args: string[]) => tidemark(folder, ['lifecycle', ...args]);

  const { code, stdout, stderr } = await run('cloud', '--move');
  assert.equal(code, 0, stderr);
  const document = JSON.parse(stdout);
  checkGcs(document);
  assert.equal(document.rule.length, 3);
  assert.match(
    stderr,
    /apply it with: gcloud storage buckets update gs:\/\/bucket --lifecycle-file lifecycle\.json/,
  );

  const json = JSON.parse((await run('cloud', '--json')).stdout);
  assert.deepEqual(Object.keys(json), ['repository', 'storage', 'document', 'apply', 'notes']);
  assert.deepEqual(
    [json.repository, json.storage, json.document.rule.length],
    ['cloud', 'gs://bucket/main', 2],
  );

  const nothing = await run('azure');
  assert.deepEqual([nothing.code, nothing.stdout], [0, '']);
  assert.match(nothing.stderr, /no rule is needed/);

  const local = await run('folder');
  assert.equal(local.code, 2);
  assert.match(local.stderr, /repository folder lies in .*where no provider could.*\[LIFECYCLE_NONE\]/);
  assert.equal((await run('nowhere')).code, 2);
});
