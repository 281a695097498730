import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ahead, eachOf } from './ahead.ts';

test('results come in order, and no more than so many are under way', async () => {
  let running = 0;
  let most = 0;
  const work = async (i: number) => {
    most = Math.max(most, ++running);
    await delay((i * 7) % 5);
    running--;
    return i * i;
  };
  const results = await Array.fromAsync(ahead([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 3, work));
  assert.deepEqual(results, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
  assert.equal(most, 3);
  assert.deepEqual(await Array.fromAsync(ahead([], 3, work)), []);
});

test('a failure comes in its turn, and ends it', async () => {
  const begun: number[] = [];
  const got: number[] = [];
  const work = async (i: number) => {
    begun.push(i);
    if (i === 2) throw new Error('two');
    await delay(2);
    return i;
  };
  const all = async () => {
    for await (const i of ahead(Array(100).keys(), 4, work)) got.push(i);
  };
  await assert.rejects(all, /two/);
  assert.deepEqual(got, [0, 1]);
  assert.ok(begun.length <= 6);
});

test('each of some is done once, and no more than so many are under way', async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  await eachOf(Array(10).keys(), 3, async i => {
    most = Math.max(most, ++running);
    await delay((i * 7) % 5);
    running--;
    done.push(i);
  });
  assert.deepEqual(
    done.sort((a, b) => a - b),
    [...Array(10).keys()],
  );
  assert.equal(most, 3);
});

test('after the first failure nothing is begun, and it is thrown when all have ended', async () => {
  const begun: number[] = [];
  let running = 0;
  const work = async (i: number) => {
    begun.push(i);
    running++;
    await delay(i === 1 ? 1 : 10);
    running--;
    if (i < 3) throw new Error(`of ${i}`);
  };
  await assert.rejects(eachOf(Array(100).keys(), 4, work), /of 1/);
  assert.equal(running, 0);
  assert.deepEqual(begun, [0, 1, 2, 3]);
});
