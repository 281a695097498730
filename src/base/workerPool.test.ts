import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerPool } from './workerPool.ts';

const file = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
const ECHO = file(`
  import { parentPort, workerData } from 'node:worker_threads';
  parentPort.on('message', message => {
    if (message === 'throw') throw new Error('thrown in the worker');
    if (message === 'exit') process.exit(3);
    parentPort.postMessage(workerData + message);
  });
`);
const pool = () => new WorkerPool<string, string>(ECHO, new AbortController().signal);

test('what is sent is worked on, and what a worker says is received with the worker that said it', async () => {
  const workers = pool();
  const said = Promise.withResolvers<string>();
  const worker = workers.start('heard ', (message, from) => said.resolve(`${message} ${from === worker}`));
  worker.send('this');
  assert.equal(await Promise.race([said.promise, workers.failure]), 'heard this true');
  await workers.close();
});

test('an error of a worker, its end, and what goes wrong with its messages are failures; the first counts', async () => {
  for (const [message, expected] of [
    ['throw', /thrown in the worker/],
    ['exit', /ended with code 3/],
    ['any', /not understood/],
  ] as const) {
    const workers = pool();
    const worker = workers.start('', () => {
      throw new Error('not understood');
    });
    worker.send(message);
    await assert.rejects(workers.failure, expected);
    workers.fail(new Error('a later one'));
    await assert.rejects(workers.failure, expected);
    await workers.close();
  }
});

test('an interruption ends what is waited for, before and after the start', async () => {
  const controller = new AbortController();
  const workers = new WorkerPool<string, string>(ECHO, controller.signal);
  workers.start('', () => {});
  controller.abort(new Error('interrupted'));
  await assert.rejects(workers.failure, /interrupted/);
  await workers.close();
  await assert.rejects(new WorkerPool(ECHO, controller.signal).failure, /interrupted/);
});

test('closing is no failure', async () => {
  const workers = pool();
  workers.start('', () => {});
  await workers.close();
  const failed = await Promise.race([workers.failure.catch(() => 'failed'), Promise.resolve('not failed')]);
  assert.equal(failed, 'not failed');
});
