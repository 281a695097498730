/** A capture worker: one connection, under the backup's snapshot. */
import { workerData } from 'node:worker_threads';
import { TidemarkError } from '../../base/errors.ts';
import type { PartJob } from '../../capture/logical/partition.ts';
import { quoteLiteral, Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/settings.ts';
import type { WriterData } from '../writing/protocol.ts';
import { type PartReader, type PartSink, writeParts } from '../writing/thread.ts';

export interface CaptureWorkerData extends WriterData {
  settings: ConnectionSettings;
  sessionSettings: string;
  snapshot: string;
}

const data = workerData as CaptureWorkerData;

async function open(): Promise<PartReader<PartJob>> {
  const session = await Session.open(data.settings, 'tidemark backup');
  await session.run(data.sessionSettings);
  await session.run(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(data.snapshot)}`,
  );
  return {
    read: (job, sink) => capture(session, job, sink),
    close: () => session.close(),
    destroy: () => session.destroy(),
  };
}

async function capture(session: Session, job: PartJob, sink: PartSink): Promise<void> {
  const rows = await session.copyOut(job.sql, sink);
  if (job.after) await session.run(job.after);
  if (rows === sink.rows) return;
  throw new TidemarkError(
    'ROWS_MISCOUNTED',
    `the server counted ${rows} rows, ${sink.rows} arrived`,
    'a proxy in between may change what it passes on; connect to the server directly',
  );
}

writeParts(data, open);
