import { eachOf } from '../../base/ahead.ts';
import { HEADER } from '../format/header.ts';
import { listOwn } from '../format/objectNames.ts';
import { packName } from '../format/packName.ts';
import { type Manifest, manifestName, newSessionId } from '../manifest.ts';
import { PackCatalog } from '../packs/packCatalog.ts';
import { FAILS, RecordFolder } from '../records/recordFolder.ts';
import type { Repository } from '../repository.ts';
import { listRevisions, revisionName } from '../revisions.ts';

/** Extensions under way at once. */
const AT_ONCE = 8;
/** Of a lock's time: after this part of it everything that is needed is locked anew. */
const RENEWED_AFTER = 1 / 4;

/** The JSON of `locked/<id>`: until then everything was locked that was needed when it was written. */
interface LockRecord {
  format: 1;
  until: string;
}

/** One that is damaged says that nothing is locked: then everything is locked anew. */
const LOCKED = new RecordFolder<LockRecord, null>('locked/', {
  damaged: null,
  tooNew: FAILS,
  newerKey: FAILS,
});

/**
 * Locks anew what these snapshots need, if the last time is a quarter of the lock's time ago: with a prune at least that
 * often, nothing that is kept is ever locked for less than half of it. Does nothing where the repository's policy has no
 * lock.
 *
 * @param names manifests of snapshots that retention wants.
 * @param packs those that are there, where somebody has listed them; those that the snapshots name beside them are locked too.
 * @param signal heeded between objects; what was extended stays so.
 * @returns how many objects were locked anew.
 */
export async function keepLocks(
  repository: Repository,
  names: readonly string[],
  packs?: PackCatalog,
  signal?: AbortSignal,
): Promise<number> {
  const { storage, policy } = repository;
  const { lock } = policy;
  if (!lock || !storage.locks) return 0;
  const now = await storage.now();
  const last = await lastRecord(repository);
  if (last && last.until.getTime() - now.getTime() > lock.forMs * (1 - RENEWED_AFTER)) return 0;
  const until = new Date(now.getTime() + lock.forMs);
  const objects = await neededBy(repository, names, packs ?? new PackCatalog());
  let extended = 0;
  await eachOf(objects, AT_ONCE, async name => {
    signal?.throwIfAborted();
    await storage.locks!.extend(name, { mode: lock.mode, until });
    extended++;
  });
  await record(repository, now, until, last?.id);
  return extended;
}

/** Names of objects. Of packs nothing is held but a mark in a byte. */
async function neededBy(
  repository: Repository,
  names: readonly string[],
  packs: PackCatalog,
): Promise<Generator<string>> {
  const { storage } = repository;
  const small = new Set<string>([HEADER]);
  for (const prefix of ['keys/', 'epochs/'])
    for await (const { name } of listOwn(storage, prefix)) small.add(name);
  const revisions = await listRevisions(storage);
  const marks = new PackMarks(packs);
  // Those that were forgotten meanwhile are left out.
  for await (const manifest of repository.read(names, { revisions })) {
    const name = manifestName(manifest);
    small.add(`snapshots/${name}`);
    for (const number of revisions.get(name) ?? []) small.add(revisionName(name, Math.abs(number)));
    marks.add(manifest.packs);
  }
  return (function* () {
    yield* small;
    yield* marks.names();
  })();
}

/** Some packs: marks for those of a catalog, which is left as it is, and a catalog of the others. */
class PackMarks {
  readonly #listed: PackCatalog;
  readonly #marks: Uint8Array;
  readonly #others = new PackCatalog();

  constructor(listed: PackCatalog) {
    this.#listed = listed;
    this.#marks = new Uint8Array(listed.size);
  }

  add(packs: Manifest['packs']): void {
    const others = packs.filter(([session, number]) => {
      const place = this.#listed.find(session, number);
      if (place !== -1) this.#marks[place] = 1;
      return place === -1;
    });
    this.#others.addNamed(others);
  }

  *names(): Generator<string> {
    for (const [place, mark] of this.#marks.entries()) if (mark === 1) yield nameAt(this.#listed, place);
    for (let place = 0; place < this.#others.size; place++) yield nameAt(this.#others, place);
  }
}

function nameAt(catalog: PackCatalog, place: number): string {
  const [session, number] = catalog.ref(place);
  return `packs/${packName(session, number)}`;
}

async function lastRecord(repository: Repository): Promise<{ id: string; until: Date } | undefined> {
  const newest = (await LOCKED.list(repository.storage)).at(-1);
  if (!newest) return undefined;
  const content = await LOCKED.read(repository, newest.id);
  return { id: newest.id, until: new Date(content?.until ?? 0) };
}

async function record(
  repository: Repository,
  now: Date,
  until: Date,
  before: string | undefined,
): Promise<void> {
  await LOCKED.write(repository, newSessionId(now), { until: until.toISOString() });
  if (before) await LOCKED.remove(repository.storage, before);
}
