import { TidemarkError } from '../../base/errors.ts';
import { isMissing } from '../../storage/object.ts';
import { listOwn } from '../format/objectNames.ts';
import type { PackRef } from '../format/packName.ts';
import type { PackCatalog } from '../packs/packCatalog.ts';
import type { Repository } from '../repository.ts';

/** Records of packs that are condemned: docs/recovery.md, "Collection". */

/** Packs in one record, which is read as a whole. */
export const RECORD_PACKS_MAX = 50_000;

/** The JSON of `condemned/<id>`. */
export interface RecordContent {
  format: 1;
  packs: PackRef[];
  /** Manifests and revisions that refer to these packs, or may, and were retired when the packs were condemned. */
  settled: string[];
}

/** What an object `condemned/<id>` says; `since` is its storage's time. */
export interface CondemnedRecord {
  id: string;
  since: Date;
  /** Those that are still there, by their places. */
  places: Uint32Array;
  settled: ReadonlySet<string>;
}

export async function readCondemned(repository: Repository, packs: PackCatalog): Promise<CondemnedRecord[]> {
  const records = new Map<string, CondemnedRecord>();
  for await (const { name, modified } of listOwn(repository.storage, 'condemned/')) {
    const id = name.slice('condemned/'.length);
    const content = await readRecord(repository, name);
    if (!content) continue;
    const places = Uint32Array.from(content.packs, ([session, number]) => packs.find(session, number));
    const there = places.filter(place => place !== 0xffffffff); // -1
    records.set(id, { id, since: modified, places: there, settled: new Set(content.settled) });
  }
  return [...records.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A record that can't be read condemns nothing. */
async function readRecord(repository: Repository, name: string): Promise<RecordContent | undefined> {
  let record: RecordContent;
  try {
    const sealed = await repository.storage.get(name);
    record = repository.keys.open(name, sealed, name) as RecordContent;
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof TidemarkError && error.kind === 'fault')
      return { format: 1, packs: [], settled: [] };
    throw error;
  }
  if (record.format === 1) return record;
  throw new TidemarkError(
    'FORMAT_TOO_NEW',
    `${name} has format ${String(record.format)}`,
    'use a newer tidemark',
  );
}
