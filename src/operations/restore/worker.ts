/** A restore worker: one connection, on which it loads parts straight from the repository and runs statements. */

import { parentPort, workerData } from 'node:worker_threads';
import { TidemarkError } from '../../base/errors.ts';
import { postError } from '../../base/worker.ts';
import { describePart } from '../../capture/logical/part.ts';
import { encodeText } from '../../postgres/encoding.ts';
import { Session } from '../../postgres/session.ts';
import { RepositoryKeys } from '../../repository/keys/keys.ts';
import { readPart } from '../../repository/read/partReader.ts';
import { SnapshotReader } from '../../repository/read/reader.ts';
import { loadLargeObjects } from '../../restore/database/largeObjects.ts';
import type { StoredPart } from '../../restore/parts.ts';
import { openStorage } from '../../storage/index.ts';
import type { FromRestoreWorker, RestoreWork, RestoreWorkerData, ToRestoreWorker } from './protocol.ts';

const PROGRESS_BYTES = 4 << 20;

const data = workerData as RestoreWorkerData;
const port = parentPort!;
const post = (message: FromRestoreWorker) => port.postMessage(message);

async function main(): Promise<void> {
  const session = await Session.open(data.settings, 'tidemark restore');
  for (const statement of data.preamble) await session.run(encodeText(statement, data.text));
  const [row] = await session.query('select pg_catalog.pg_backend_pid() as pid');
  const keys = RepositoryKeys.ofRing(data.keys);
  const reader = new SnapshotReader(await openStorage(data.storage), keys, data.packs, { verifyIds: true });
  port.on('message', (message: ToRestoreWorker) => {
    if (message.type === 'close') session.close().then(() => post({ type: 'closed' }));
    else {
      work(session, reader, message.work).then(
        rows => post({ type: 'done', id: message.id, rows }),
        error => post({ type: 'failed', id: message.id, error: postError(error) }),
      );
    }
  });
  post({ type: 'ready', pid: row!.pid! });
}

async function work(session: Session, reader: SnapshotReader, job: RestoreWork): Promise<number> {
  if (job.kind === 'statements') {
    for (const statement of job.statements) await session.run(encodeText(statement, data.text));
    return 0;
  }
  const source = pieces(reader, job.part);
  const rows =
    job.kind === 'rows'
      ? await session.copyIn(encodeText(job.copy, data.text), source)
      : await loadLargeObjects(session, source);
  if (rows !== job.part.rows) throw miscounted(`${job.part.rows} rows were stored, the server took ${rows}`);
  return rows;
}

/** The part's bytes, while it is told how many have come. */
async function* pieces(reader: SnapshotReader, part: StoredPart): AsyncGenerator<Buffer> {
  let bytes = 0;
  let reported = 0;
  for await (const piece of readPart(reader, part, describePart(part))) {
    bytes += piece.length;
    if (bytes - reported > PROGRESS_BYTES) {
      post({ type: 'progress', bytes: bytes - reported });
      reported = bytes;
    }
    yield piece;
  }
  post({ type: 'progress', bytes: bytes - reported });
}

function miscounted(message: string): TidemarkError {
  return new TidemarkError(
    'ROWS_MISCOUNTED',
    message,
    "run 'tidemark verify' on the snapshot; does a rule or trigger swallow rows?",
  );
}

main().catch(error => post({ type: 'failed', id: null, error: postError(error) }));
