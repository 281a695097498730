/** A copy worker: reads parts of a snapshot in one repository and writes them for another. */

import { workerData } from 'node:worker_threads';
import { faultError } from '../../base/errors.ts';
import { type KeyRing, RepositoryKeys } from '../../repository/keys/keys.ts';
import type { PartRecord } from '../../repository/manifest.ts';
import { readPart } from '../../repository/read/partReader.ts';
import { type PackTable, SnapshotReader } from '../../repository/read/reader.ts';
import type { WriterData } from '../../repository/write/protocol.ts';
import { type PartSink, type RowSource, writeParts } from '../../repository/write/thread.ts';
import { openStorage, type StoragePlace } from '../../storage/index.ts';

export interface CopyWorkerData extends WriterData {
  from: { storage: StoragePlace; keys: KeyRing; packs: PackTable };
}

const LINE_END = 0x0a;

const data = workerData as CopyWorkerData;

async function open(): Promise<RowSource<PartRecord>> {
  const { from } = data;
  const storage = await openStorage(from.storage);
  const keys = RepositoryKeys.ofRing(from.keys);
  const reader = new SnapshotReader(storage, keys, from.packs, { verifyIds: true });
  return {
    read: (part, sink) => copyPart(reader, part, sink),
    close: () => storage.close(),
    destroy: () => void storage.close().catch(() => {}),
  };
}

/** The part's rows, cut anew: all of its bytes are COPY text, in which a line end is always the end of a row. */
async function copyPart(reader: SnapshotReader, part: PartRecord, sink: PartSink): Promise<void> {
  let ended = true;
  for await (const piece of readPart(reader, part, part.group)) {
    let from = 0;
    for (let end = piece.indexOf(LINE_END); end !== -1; end = piece.indexOf(LINE_END, from)) {
      sink.append(piece, from, end + 1);
      sink.endRow();
      from = end + 1;
    }
    ended = from === piece.length;
    if (!ended) sink.append(piece, from, piece.length);
    await sink.pressure();
  }
  if (ended && sink.rows === part.rows) return;
  throw faultError(
    'PART_DIFFERS',
    `${part.group}: ${part.rows} rows were stored, ${sink.rows} came back`,
    "run 'tidemark verify' on the snapshot",
  );
}

writeParts(data, open);
