import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sweep, table } from './sweep.ts';

test('a fault at every storage call of each operation: nothing is lost, nothing reported that is not so', async t => {
  const seed = Number(process.env.TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`TIDEMARK_SEED=${seed}`);
  const swept = await sweep({ seed, log: () => {} });
  for (const line of table(swept).split('\n')) t.diagnostic(line);
  console.log(table(swept));
  assert.deepEqual(
    swept.flatMap(each => each.failures),
    [],
  );
  for (const each of swept) assert.ok(each.positions >= 8 && each.tried > 0, JSON.stringify(each));
});

test('a key whose slot was stored before the storage went away is kept, and its slot found again', async () => {
  const swept = await sweep({ seed: 0, operations: ['key-add'], injected: ['lost, gone'], log: () => {} });
  assert.deepEqual(swept[0]!.failures, []);
});
