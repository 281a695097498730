/** A capture worker: one connection, under the backup's snapshot. */
import { workerData } from 'node:worker_threads';
import { TidemarkError } from '../../base/errors.ts';
import { beginUnder } from '../../capture/logical/keeper.ts';
import type { PartJob } from '../../capture/logical/partition.ts';
import { isLockRefused } from '../../postgres/postgresError.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import type { WriterData } from '../../repository/write/protocol.ts';
import { type Fed, type PartSink, type RowSource, writeParts } from '../../repository/write/thread.ts';

export interface CaptureWorkerData extends WriterData {
  settings: ConnectionSettings;
  sessionSettings: string;
}

const data = workerData as CaptureWorkerData;

/** Starts with the name of the snapshot. */
async function open(): Promise<RowSource<PartJob, string>> {
  const session = await Session.open(data.settings, 'tidemark backup');
  await session.run(data.sessionSettings);
  return {
    start: async snapshot => {
      await session.run(beginUnder(snapshot));
    },
    read: (job, sink, fed) => capture(session, job, sink, fed),
    close: () => session.close(),
    destroy: () => session.destroy(),
  };
}

async function capture(session: Session, job: PartJob, sink: PartSink, fed: Fed): Promise<void> {
  const rows =
    job.lock === undefined ? await session.copyOut(job.sql, sink) : await copy(session, job, sink, fed);
  if (job.after) await session.run(job.after);
  if (rows === sink.rows) return;
  throw new TidemarkError(
    'ROWS_MISCOUNTED',
    `the server counted ${rows} rows, ${sink.rows} arrived`,
    'a proxy in between may change what it passes on; connect to the server directly',
  );
}

/**
 * Under a lock that lasts as long as the reading: ROLLBACK TO gives it back. It is never waited for: where somebody waits to
 * change the table, the session that has it locked already reads the part.
 */
async function copy(session: Session, job: PartJob, sink: PartSink, fed: Fed): Promise<number> {
  const lock = `SAVEPOINT part; LOCK TABLE ${job.lock} IN ACCESS SHARE MODE NOWAIT`;
  const release = 'ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part';
  try {
    return await session.copyOut(`${job.sql}; ${release}`, sink, lock);
  } catch (error) {
    if (!isLockRefused(error) || sink.bytes > 0) throw error;
    await session.run(release);
    return fed(sink);
  }
}

writeParts(data, open);
