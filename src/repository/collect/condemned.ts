import type { PackRef } from '../format/packName.ts';
import type { PackCatalog } from '../packs/packCatalog.ts';
import { FAILS, RecordFolder } from '../records/recordFolder.ts';
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

/** A record that can't be read condemns nothing. */
export const CONDEMNED = new RecordFolder<RecordContent, null>('condemned/', {
  damaged: null,
  tooNew: FAILS,
  newerKey: FAILS,
});

/** Oldest first. */
export async function readCondemned(repository: Repository, packs: PackCatalog): Promise<CondemnedRecord[]> {
  const records: CondemnedRecord[] = [];
  for (const { id, modified } of await CONDEMNED.list(repository.storage)) {
    const content = await CONDEMNED.read(repository, id);
    if (content === undefined) continue;
    const places = Uint32Array.from(content?.packs ?? [], ([session, number]) => packs.find(session, number));
    const there = places.filter(place => place !== 0xffffffff); // -1
    records.push({ id, since: modified, places: there, settled: new Set(content?.settled) });
  }
  return records;
}
