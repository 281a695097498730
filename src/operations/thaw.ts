import { setTimeout as sleep } from 'node:timers/promises';
import { eachOf } from '../base/ahead.ts';
import { TidemarkError } from '../base/errors.ts';
import type { Reporter } from '../base/progress.ts';
import { anyPattern } from '../postgres/archive/pattern.ts';
import { quoteQualified } from '../postgres/archive/quote.ts';
import { packName } from '../repository/format/packName.ts';
import type { Freezer } from '../storage/storage.ts';
import type { OpenSnapshot } from './open/openSnapshot.ts';

/** Requests under way at once. */
const REQUESTS_MAX = 8;
/** Thawing takes minutes to days. */
const LOOK_AGAIN_MS = 60_000;
/** The slowest order of the slowest class is promised within two days. */
const WAIT_MAX_MS = 7 * 24 * 60 * 60 * 1000;

export interface ThawOptions {
  /** Only what these tables need; empty: everything. */
  tables: readonly string[];
  /** For how many days copies that can be read are kept, once they are there. */
  days: number;
  /** Resolve only when everything can be read, or throw SNAPSHOT_THAWING after WAIT_MAX_MS. */
  wait: boolean;
  reporter: Reporter;
  signal: AbortSignal;
  /** Between two looks; minutes unless a test says otherwise. */
  lookAgainMs?: number;
  /** As long as is waited; WAIT_MAX_MS unless a test says otherwise. */
  waitMaxMs?: number;
}

/** What `tidemark thaw --json` prints. Packs by number. */
export interface ThawResult {
  snapshot: string;
  packs: number;
  /** Ordered by this call. */
  ordered: number;
  /** On their way, the ordered ones included. */
  thawing: number;
  readable: boolean;
}

/**
 * Orders what of a snapshot lies frozen to be thawed, and waits for it if asked to. Orders that were given before are not
 * given again.
 */
export async function thaw(snapshot: OpenSnapshot, options: ThawOptions): Promise<ThawResult> {
  const names = await packsOf(snapshot, options.tables);
  const { freezer } = snapshot.repository.storage;
  const id = snapshot.manifest.snapshot;
  if (!freezer) return { snapshot: id, packs: names.length, ordered: 0, thawing: 0, readable: true };
  const { frozen, thawing } = await statesOf(freezer, names, options.signal);
  await eachOf(frozen, REQUESTS_MAX, async name => {
    options.signal.throwIfAborted();
    await freezer.thaw(name, options.days);
  });
  const ordered = frozen.length;
  let waiting = [...frozen, ...thawing];
  if (ordered > 0) options.reporter.note(`${ordered} of ${names.length} packs were ordered to be thawed`);
  const until = Date.now() + (options.waitMaxMs ?? WAIT_MAX_MS);
  while (options.wait && waiting.length > 0) {
    if (Date.now() > until) throw stillThawing(id, waiting.length);
    options.reporter.note(`${waiting.length} of ${names.length} packs are being thawed`);
    await sleep(options.lookAgainMs ?? LOOK_AGAIN_MS, undefined, { signal: options.signal });
    const now = await statesOf(freezer, waiting, options.signal);
    waiting = [...now.frozen, ...now.thawing];
  }
  return {
    snapshot: id,
    packs: names.length,
    ordered,
    thawing: waiting.length,
    readable: waiting.length === 0,
  };
}

/**
 * Makes sure that the rows of a snapshot can be read at once, before anything is begun.
 *
 * @param order whether to order what is frozen to be thawed.
 * @throws TidemarkError SNAPSHOT_FROZEN; SNAPSHOT_THAWING where it was ordered and not waited for.
 */
export async function requireReadable(
  snapshot: OpenSnapshot,
  options: ThawOptions,
  order: boolean,
): Promise<void> {
  const { freezer } = snapshot.repository.storage;
  if (!freezer) return;
  const id = snapshot.manifest.snapshot;
  if (order) {
    const { readable, thawing } = await thaw(snapshot, options);
    if (readable) return;
    throw beingThawed(id, thawing);
  }
  const names = await packsOf(snapshot, options.tables);
  const { frozen, thawing } = await statesOf(freezer, names, options.signal);
  if (frozen.length + thawing.length === 0) return;
  throw new TidemarkError(
    'SNAPSHOT_FROZEN',
    `${frozen.length + thawing.length} of ${names.length} packs of snapshot ${id} lie in a class that must be thawed first`,
    'add --thaw to order that, and --wait to wait for it; the provider charges for it',
  );
}

function beingThawed(id: string, packs: number): TidemarkError {
  return new TidemarkError(
    'SNAPSHOT_THAWING',
    `${packs} packs of snapshot ${id} are being thawed, which takes hours in most classes`,
    'run the same command again later, or add --wait',
  );
}

/** No class takes that long: what was thawed first may have frozen again, or the provider refused the order. */
function stillThawing(id: string, packs: number): TidemarkError {
  return new TidemarkError(
    'SNAPSHOT_THAWING',
    `${packs} packs of snapshot ${id} are not thawed after a week of waiting`,
    'look at the orders with the provider, then run the same command again, with a larger --days',
  );
}

/** Packs with rows that the tables' parts refer to; chunk lists are never frozen, so nothing has to be thawed to know. */
async function packsOf(snapshot: OpenSnapshot, tables: readonly string[]): Promise<string[]> {
  const wanted = tables.length > 0 ? anyPattern([...tables]) : () => true;
  const names = new Set<string>();
  for (const part of snapshot.parts) {
    if (part.kind === 'rows' && !wanted(part.schema, part.table)) continue;
    const list = await snapshot.reader.list(part, `table ${quoteQualified(part.schema, part.table)}`);
    for (const { session, number } of list.packs) names.add(`packs/${packName(session, number)}`);
  }
  return [...names];
}

async function statesOf(
  freezer: Freezer,
  names: readonly string[],
  signal: AbortSignal,
): Promise<{ frozen: string[]; thawing: string[] }> {
  const frozen: string[] = [];
  const thawing: string[] = [];
  await eachOf(names, REQUESTS_MAX, async name => {
    signal.throwIfAborted();
    const state = await freezer.state(name);
    if (state === 'frozen') frozen.push(name);
    if (state === 'thawing') thawing.push(name);
  });
  return { frozen, thawing };
}
