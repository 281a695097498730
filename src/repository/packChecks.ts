import { ahead } from '../base/ahead.ts';
import { TidemarkError } from '../base/errors.ts';
import { isMissing } from '../storage/object.ts';
import { packName } from './keys.ts';
import { type Manifest, newSessionId, SESSION_ID } from './manifest.ts';
import type { Repository } from './repository.ts';

/** When packs were last read whole, and which were found damaged: docs/format.md, "Checks". */

const PREFIX = 'checks/';
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

/** What a pack's seals are right in spite of: only who looks at its chunks can say that it is gone. */
const BEYOND_SEALS = new Set(['CHUNK_WRONG', 'PLACE_WRONG']);

export interface PackDamage {
  session: string;
  number: number;
  atMs: number;
  code: string;
}

/** What is known of packs. Times are the storage's clock. */
export class PackChecks {
  /** In milliseconds, by session and number. */
  readonly #checked = new Map<string, Map<number, number>>();
  readonly #damaged = new Map<string, PackDamage>();

  /** One listing, and as many objects as runs have ended at the same time. One that can't be read tells nothing. */
  static async read(repository: Repository): Promise<PackChecks> {
    const checks = new PackChecks();
    await readInto(checks, repository);
    return checks;
  }

  /** 0 where it never was. */
  checkedMs(session: string, number: number): number {
    return this.#checked.get(session)?.get(number) ?? 0;
  }

  damage(session: string, number: number): PackDamage | undefined {
    return this.#damaged.size === 0 ? undefined : this.#damaged.get(packName(session, number));
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

  /** Takes in a look; an older one than what is known says nothing new. */
  add({ session, number, code, whole }: PackLook, atMs: number): void {
    const name = packName(session, number);
    const known = this.#damaged.get(name);
    if (atMs < Math.max(this.checkedMs(session, number), known?.atMs ?? 0)) return;
    if (code === null) {
      // At the same time damage counts.
      if (known && (known.atMs === atMs || (!whole && BEYOND_SEALS.has(known.code)))) return;
      this.#damaged.delete(name);
      const numbers = this.#checked.get(session);
      if (numbers) numbers.set(number, atMs);
      else this.#checked.set(session, new Map([[number, atMs]]));
    } else {
      this.#damaged.set(name, { session, number, atMs, code });
      this.#checked.get(session)?.delete(number);
    }
  }

  /** Leaves out packs that are no more. */
  keepOnly(wanted: (session: string, number: number) => boolean): void {
    for (const [session, numbers] of this.#checked) {
      for (const number of numbers.keys()) if (!wanted(session, number)) numbers.delete(number);
      if (numbers.size === 0) this.#checked.delete(session);
    }
    for (const [name, { session, number }] of this.#damaged)
      if (!wanted(session, number)) this.#damaged.delete(name);
  }

  content(): CheckContent {
    const byTime = new Map<number, Map<string, number[]>>();
    for (const [session, numbers] of this.#checked) {
      for (const [number, atMs] of numbers) {
        const sessions = byTime.get(atMs) ?? new Map<string, number[]>();
        byTime.set(atMs, sessions);
        sessions.set(session, [...(sessions.get(session) ?? []), number]);
      }
    }
    return {
      format: 1,
      checked: [...byTime].map(([atMs, sessions]) => [
        new Date(atMs).toISOString(),
        [...sessions].map(([session, numbers]) => [session, runsOf(numbers)]),
      ]),
      damaged: [...this.#damaged.values()].map(({ session, number, atMs, code }) => [
        ...([session, number, new Date(atMs).toISOString(), code] as const),
      ]),
    };
  }

  take({ checked, damaged }: CheckContent): void {
    for (const [at, sessions] of checked) {
      const atMs = Date.parse(at);
      for (const [session, runs] of sessions) {
        for (let i = 0; i + 1 < runs.length; i += 2)
          for (let k = 0; k < runs[i + 1]!; k++)
            this.add({ session, number: runs[i]! + k, code: null, whole: true }, atMs);
      }
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
  const { storage, keys } = repository;
  const checks = new PackChecks();
  const names = await readInto(checks, repository);
  const now = await storage.now();
  for (const look of looks) checks.add(look, now.getTime());
  if (keep) checks.keepOnly(keep);
  const name = `${PREFIX}${newSessionId(now)}`;
  await storage.put(name, [keys.seal(name, checks.content())], { ifAbsent: true });
  for (const each of names) {
    await storage.remove(each).catch(error => {
      // It goes with one of the next; until then it says nothing that the new one doesn't.
      if ((error as { code?: string }).code !== 'OBJECT_LOCKED' && !isMissing(error)) throw error;
    });
  }
}

/** The names of those that could be read, or never will be. */
async function readInto(checks: PackChecks, { storage, keys }: Repository): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of storage.list(PREFIX))
    if (SESSION_ID.test(name.slice(PREFIX.length))) names.push(name);
  const open = async (name: string) => {
    try {
      const content = keys.open(name, await storage.get(name), name) as CheckContent;
      return { name, content: content.format === 1 ? content : undefined, spent: content.format === 1 };
    } catch (error) {
      if (isMissing(error)) return { name, content: undefined, spent: false };
      if (!(error instanceof TidemarkError) || error.retry) throw error;
      if (error.kind === 'fault') return { name, content: undefined, spent: true };
      if (error.code === 'KEY_RETIRED') return { name, content: undefined, spent: false };
      throw error;
    }
  };
  const spent: string[] = [];
  for await (const each of ahead(names.sort(), READ_AT_ONCE, open)) {
    if (each.content) checks.take(each.content);
    if (each.spent) spent.push(each.name);
  }
  return spent;
}

function runsOf(numbers: number[]): number[] {
  const runs: number[] = [];
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = runs.length - 2;
    if (last >= 0 && runs[last]! + runs[last + 1]! === number) runs[last + 1]!++;
    else runs.push(number, 1);
  }
  return runs;
}
