import { ahead } from '../../base/ahead.ts';
import { isMissing } from '../../storage/object.ts';
import { type Manifest, newSessionId } from '../manifest.ts';
import { FAILS, type RecordEntry, RecordFolder } from '../records/recordFolder.ts';
import type { Repository } from '../repository.ts';
import type { PackCatalog } from './packCatalog.ts';
import { PackTimes, type PlacedTimes, placedTimes } from './packTimes.ts';

/** When packs were last read whole, and which were found damaged: docs/format.md, "Checks". */

const READ_AT_ONCE = 4;

/** One look at one pack. */
export interface PackLook {
  session: string;
  number: number;
  /** What was wrong with it; null where nothing was. */
  code: string | null;
  /** Its chunks were held against the lists too, which finds what seals don't. */
  whole: boolean;
}

/** The JSON of `checks/<id>`. */
interface CheckContent {
  format: 1;
  /** Runs of numbers, each `first, count`. */
  checked: [at: string, sessions: [session: string, runs: number[]][]][];
  damaged: [session: string, number: number, at: string, code: string][];
}

/** One that is damaged says nothing, and goes; one under a newer key says nothing to this one, and stays. */
const CHECKS = new RecordFolder<CheckContent, 'damaged' | 'sealed'>('checks/', {
  damaged: 'damaged',
  tooNew: FAILS,
  newerKey: 'sealed',
});

/** What a pack's seals are right in spite of: only who looks at its chunks can say that it is gone. */
const BEYOND_SEALS = new Set(['CHUNK_WRONG', 'PLACE_WRONG']);

export interface PackDamage {
  session: string;
  number: number;
  atMs: number;
  code: string;
}

/** What is known of packs. Times are the storage's clock. What it takes in memory goes by runs of packs: packTimes.ts. */
export class PackChecks {
  readonly #checked = new PackTimes();
  /** By session and number. */
  readonly #damaged = new Map<string, Map<number, PackDamage>>();

  /** One listing, and as many objects as runs have ended at the same time. One that can't be read tells nothing. */
  static async read(repository: Repository): Promise<PackChecks> {
    const checks = new PackChecks();
    await readInto(checks, repository);
    return checks;
  }

  /** 0 where it never was. */
  checkedMs(session: string, number: number): number {
    return this.#checked.of(session, number);
  }

  /** When the packs of a catalog were checked; 0 for those that never were. */
  timesOf(catalog: PackCatalog): PlacedTimes {
    return placedTimes(this.#checked, catalog);
  }

  damage(session: string, number: number): PackDamage | undefined {
    return this.#damaged.get(session)?.get(number);
  }

  /** No damage is known. */
  get sound(): boolean {
    return this.#damaged.size === 0;
  }

  /** Those of its packs that were found damaged. */
  hurting({ packs }: Pick<Manifest, 'packs'>): PackDamage[] {
    if (this.#damaged.size === 0) return [];
    return packs.flatMap(([session, number]) => this.damage(session, number) ?? []);
  }

  /** All that is known. */
  damages(): PackDamage[] {
    return [...this.#damaged.values()].flatMap(numbers => [...numbers.values()]);
  }

  #repair(session: string, number: number): void {
    const numbers = this.#damaged.get(session);
    numbers?.delete(number);
    if (numbers?.size === 0) this.#damaged.delete(session);
  }

  /** Takes in a look; an older one than what is known says nothing new. */
  add({ session, number, code, whole }: PackLook, atMs: number): void {
    const known = this.damage(session, number);
    if (atMs < Math.max(this.checkedMs(session, number), known?.atMs ?? 0)) return;
    if (code === null) {
      // At the same time damage counts.
      if (known && (known.atMs === atMs || (!whole && BEYOND_SEALS.has(known.code)))) return;
      this.#repair(session, number);
      this.#checked.set(session, number, 1, atMs);
    } else {
      const numbers = this.#damaged.get(session) ?? new Map<number, PackDamage>();
      this.#damaged.set(session, numbers.set(number, { session, number, atMs, code }));
      this.#checked.delete(session, number);
    }
  }

  /** As `add` for each of these packs, which were found whole. */
  #addWhole(session: string, first: number, count: number, atMs: number): void {
    const hurt = [...(this.#damaged.get(session)?.keys() ?? [])];
    for (const number of hurt)
      if (number >= first && number < first + count)
        this.add({ session, number, code: null, whole: true }, atMs);
    const older = [...this.#checked.within(session, first, count)].filter(run => run.atMs < atMs);
    for (const run of older) this.#checked.set(session, run.first, run.count, atMs);
    for (const number of this.#damaged.get(session)?.keys() ?? []) this.#checked.delete(session, number);
  }

  /** Leaves out packs that are no more. */
  keepOnly(wanted: (session: string, number: number) => boolean): void {
    this.#checked.keepOnly(wanted);
    for (const { session, number } of this.damages())
      if (!wanted(session, number)) this.#repair(session, number);
  }

  content(): Omit<CheckContent, 'format'> {
    const byTime = new Map<number, [session: string, runs: number[]][]>();
    for (const { session, first, count, atMs } of this.#checked) {
      const sessions = byTime.get(atMs) ?? [];
      byTime.set(atMs, sessions);
      const last = sessions.at(-1);
      if (last?.[0] === session) last[1].push(first, count);
      else sessions.push([session, [first, count]]);
    }
    return {
      checked: [...byTime].map(([atMs, sessions]) => [new Date(atMs).toISOString(), sessions]),
      damaged: this.damages().map(({ session, number, atMs, code }) => [
        ...([session, number, new Date(atMs).toISOString(), code] as const),
      ]),
    };
  }

  take({ checked, damaged }: Omit<CheckContent, 'format'>): void {
    for (const [at, sessions] of checked) {
      const atMs = Date.parse(at);
      for (const [session, runs] of sessions)
        for (let i = 0; i + 1 < runs.length; i += 2) this.#addWhole(session, runs[i]!, runs[i + 1]!, atMs);
    }
    for (const [session, number, at, code] of damaged)
      this.add({ session, number, code, whole: true }, Date.parse(at));
  }
}

/**
 * Adds looks to what is known. What others have written meanwhile is taken in; the objects that were taken in are removed
 * once there is one that says all they said, so that a kill leaves too many, never too few.
 *
 * @param keep whether a pack still counts; absent: all do.
 */
export async function recordLooks(
  repository: Repository,
  looks: readonly PackLook[],
  keep?: (session: string, number: number) => boolean,
): Promise<void> {
  const { storage } = repository;
  const checks = new PackChecks();
  const ids = await readInto(checks, repository);
  const now = await storage.now();
  for (const look of looks) checks.add(look, now.getTime());
  if (keep) checks.keepOnly(keep);
  await CHECKS.write(repository, newSessionId(now), checks.content(), { ifAbsent: true });
  for (const id of ids) {
    await CHECKS.remove(storage, id).catch(error => {
      // It goes with one of the next; until then it says nothing that the new one doesn't.
      if ((error as { code?: string }).code !== 'OBJECT_LOCKED' && !isMissing(error)) throw error;
    });
  }
}

/** The ids of those that could be read, or never will be. */
async function readInto(checks: PackChecks, repository: Repository): Promise<string[]> {
  const spent: string[] = [];
  const read = async ({ id }: RecordEntry) => ({ id, content: await CHECKS.read(repository, id) });
  for await (const { id, content } of ahead(await CHECKS.list(repository.storage), READ_AT_ONCE, read)) {
    if (content === undefined || content === 'sealed') continue;
    if (content !== 'damaged') checks.take(content);
    spent.push(id);
  }
  return spent;
}
