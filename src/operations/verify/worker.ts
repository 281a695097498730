/** A verify worker: checks one pack after another, while the next is being read. */
import { parentPort, workerData } from 'node:worker_threads';
import { postError } from '../../base/worker.ts';
import { checkPack } from '../../repository/check/check.ts';
import { RepositoryKeys } from '../../repository/keys/keys.ts';
import { openStorage } from '../../storage/index.ts';
import type { FromVerifyWorker, ToVerifyWorker, VerifyWorkerData } from './protocol.ts';

const data = workerData as VerifyWorkerData;
const port = parentPort!;
const post = (message: FromVerifyWorker) => port.postMessage(message);

const storage = openStorage(data.storage);
const keys = RepositoryKeys.ofRing(data.keys);

port.on('message', ({ id, job }: ToVerifyWorker) => {
  storage
    .then(opened => checkPack(opened, keys, job))
    .then(
      findings => post({ type: 'checked', id, findings }),
      error => post({ type: 'failed', error: postError(error) }),
    );
});
