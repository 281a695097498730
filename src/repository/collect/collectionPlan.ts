/**
 * Which packs may go: docs/recovery.md ("Collection") has the rules and why they suffice. A plan is made from what was read
 * once and changes nothing; carrying it out late, twice, or half is safe.
 */

import { standing } from '../guards/holds.ts';
import { snapshotOf } from '../manifest.ts';
import { PackSet } from '../packs/packCatalog.ts';
import { eachPlace } from '../packs/packRuns.ts';
import type { Repository } from '../repository.ts';
import { currentRevision, revisionName } from '../revisions.ts';
import { UNFINISHED_DAYS } from '../write/unfinished.ts';
import type { CondemnedRecord } from './condemned.ts';
import type { Holdings } from './contents.ts';
import { RetiredManifests } from './retired.ts';

/** From being condemned to being deleted, at the least, by the storage's clock. */
export const GRACE_MS = 24 * 3600 * 1000;
/** Records judged at a time: as many as a number has bits. */
const RECORDS_AT_ONCE = 32;

export interface Amount {
  packs: number;
  bytes: number;
}

export interface CollectionPlan {
  /** Packs that are needed no more and will be condemned. */
  condemn: PackSet;
  /** For their record. */
  settled: string[];
  /** Packs condemned long enough ago, to be deleted. */
  free: PackSet;
  /** Packs that were condemned before and wait. `until` is when the last may go; `for` the running operations it waits for, by session. */
  waiting: Amount & { until: Date | null; for: string[] };
  /** Objects of forgotten manifests, revisions and unfinished sessions that tell nothing any more. */
  manifests: string[];
  records: string[];
  leases: string[];
}

/** What is known of a pack, as bits. With these, marks and references a plan takes up to 9 bytes a pack while it is made. */
const RUNNING = 1;
const RECORDED = 2;
const CONDEMNED = 4;
const FREE = 8;
const TO_CONDEMN = 16;
/** Of a snapshot that was forgotten although it is held. */
const HELD = 32;
const UNFINISHED = 64;

/** `forgetting`: snapshots to be treated as if they had just been forgotten. */
export async function planCollection(
  repository: Repository,
  holdings: Holdings,
  forgetting: ReadonlySet<string> = new Set(),
): Promise<CollectionPlan> {
  return new Planner(repository, holdings, forgetting).plan();
}

class Planner {
  readonly #holdings: Holdings;
  readonly #retired: RetiredManifests;
  readonly #forgetting: ReadonlySet<string>;
  readonly #flags: Uint8Array;
  /** References of snapshots that are being forgotten, where there are any. */
  #without: Uint32Array | undefined;
  readonly #done: CondemnedRecord[] = [];
  #until = 0;
  readonly #waitingFor = new Set<string>();

  constructor(repository: Repository, holdings: Holdings, forgetting: ReadonlySet<string>) {
    this.#holdings = holdings;
    this.#forgetting = forgetting;
    this.#retired = new RetiredManifests(repository, holdings, forgetting);
    this.#flags = new Uint8Array(holdings.packs.size);
  }

  async plan(): Promise<CollectionPlan> {
    const { packs, condemned, live, compacting, deadLeases } = this.#holdings;
    for (const session of new Set([...live.map(lease => lease.session), ...compacting]))
      for (const place of packs.placesOf(session)) this.#flags[place]! |= RUNNING;
    for (const { places } of this.#holdings.unfinished)
      for (const place of places) this.#flags[place]! |= UNFINISHED;
    await this.#withoutForgetting();
    await this.#markHeld();
    for (let i = 0; i < condemned.length; i += RECORDS_AT_ONCE)
      await this.#judge(condemned.slice(i, i + RECORDS_AT_ONCE));
    const remaining = condemned.filter(record => !this.#done.includes(record));
    for (const { places } of remaining) for (const place of places) this.#flags[place]! |= RECORDED;
    const condemn = PackSet.where(packs, place => !this.#isNeeded(place) && !this.#is(place, CONDEMNED));
    for (const place of condemn.places) this.#flags[place]! |= TO_CONDEMN;
    const free = PackSet.where(packs, place => this.#is(place, FREE));
    const { settled, objects } = await this.#consult(condemn.length === 0 && remaining.length === 0);
    return {
      ...{ condemn, settled, free, waiting: this.#waiting() },
      manifests: [...objects, ...this.#strayRevisions(), ...this.#endedSessions()],
      records: this.#done.map(record => record.id),
      leases: deadLeases,
    };
  }

  #is(place: number, flag: number): boolean {
    return (this.#flags[place]! & flag) !== 0;
  }

  #isNeeded(place: number): boolean {
    if (this.#is(place, RUNNING | HELD | UNFINISHED)) return true;
    return this.#holdings.packs.references(place) > (this.#without?.[place] ?? 0);
  }

  async #withoutForgetting(): Promise<void> {
    if (this.#forgetting.size === 0) return;
    const without = new Uint32Array(this.#holdings.packs.size);
    this.#without = without;
    for await (const { packs } of this.#retired.each(({ key }) => this.#forgetting.has(key)))
      for (const place of packs ? eachPlace(packs) : []) without[place]!++;
  }

  /**
   * Forgotten although it is held, which nobody does who keeps to the rules: what it needs stays all the same, and
   * everything where nobody knows what that is. So does everything where a revision may have lost its bytes.
   */
  async #markHeld(): Promise<void> {
    const { size } = this.#holdings.packs;
    if (this.#lacksRevision()) for (let place = 0; place < size; place++) this.#flags[place]! |= HELD;
    for await (const { packs } of this.#retired.each(({ key }) => this.#isHeld(key))) {
      if (packs === undefined) continue;
      if (packs) for (const place of eachPlace(packs)) this.#flags[place]! |= HELD;
      else for (let place = 0; place < size; place++) this.#flags[place]! |= HELD;
    }
  }

  /** Of a snapshot that is not whole, and whose last revision is void: only one that was cut to nothing would explain both. */
  #lacksRevision(): boolean {
    const { revisions, snapshots } = this.#holdings;
    return [...revisions].some(([name, numbers]) => {
      const held = snapshots.get(name);
      return held !== undefined && !held.good && numbers.some(number => -number > held.revision);
    });
  }

  #isHeld(key: string): boolean {
    const { holds, snapshots } = this.#holdings;
    return !snapshots.has(key) && standing(holds.get(snapshotOf(key))).length > 0;
  }

  /** Packs of records that still stand condemned; those due to go; and which records are of no more use. */
  async #judge(records: CondemnedRecord[]): Promise<void> {
    const { marks, all } = await this.#revivals(records);
    for (const [bit, record] of records.entries()) {
      const standing = record.places.filter(
        place => !this.#isNeeded(place) && ((marks[place]! | all) & (1 << bit)) === 0,
      );
      this.#conclude(record, standing);
    }
  }

  #conclude(record: CondemnedRecord, standing: Uint32Array): void {
    const { readAt, live } = this.#holdings;
    const blocking = live.filter(lease => lease.since <= record.since);
    const goes = readAt.getTime() - record.since.getTime() >= GRACE_MS && blocking.length === 0;
    for (const place of standing) this.#flags[place]! |= goes ? CONDEMNED | FREE : CONDEMNED;
    if (goes || record.places.length === 0) this.#done.push(record);
    else if (standing.length > 0) {
      this.#until = Math.max(this.#until, record.since.getTime() + GRACE_MS);
      for (const lease of blocking) this.#waitingFor.add(lease.session);
    }
  }

  /**
   * For each pack a bit for each record in which it was needed again after it was condemned, by what has been retired
   * since: a backup may be running that began after the condemnation and found the pack there. `all` are records of which
   * every pack may have been.
   */
  async #revivals(records: CondemnedRecord[]): Promise<{ marks: Uint32Array; all: number }> {
    const marks = new Uint32Array(this.#holdings.packs.size);
    let all = 0;
    const bitsOf = (key: string) =>
      records.reduce((bits, { settled }, bit) => (settled.has(key) ? bits : bits | (1 << bit)), 0);
    for await (const { retired, packs } of this.#retired.each(({ key }) => bitsOf(key) !== 0)) {
      const bits = bitsOf(retired.key);
      if (packs === null) all |= bits;
      else if (packs) for (const place of eachPlace(packs)) marks[place]! |= bits;
    }
    return { marks, all };
  }

  /** What the new records have to name as settled, and what of the retired can be removed. */
  async #consult(quiet: boolean): Promise<{ settled: string[]; objects: string[] }> {
    const settled: string[] = [];
    const objects: string[] = [];
    for await (const { retired, packs } of this.#retired.each(each => each.settled)) {
      if (packs === undefined) continue;
      const condemns = packs === null || some(packs, place => this.#is(place, TO_CONDEMN));
      if (condemns) settled.push(retired.key);
      if (this.#isHeld(retired.key)) continue;
      if (packs === null ? quiet : this.#tellsNothing(packs)) objects.push(...retired.objects);
    }
    return { settled: settled.sort(), objects };
  }

  /** Of no pack that is condemned, or could be. */
  #tellsNothing(runs: Uint32Array): boolean {
    return !some(runs, place => {
      if (this.#is(place, FREE)) return false;
      return !this.#isNeeded(place) || this.#is(place, RECORDED);
    });
  }

  #waiting(): CollectionPlan['waiting'] {
    const { packs } = this.#holdings;
    const waiting = PackSet.where(packs, place => this.#is(place, CONDEMNED) && !this.#is(place, FREE));
    return {
      ...amount(waiting),
      until: waiting.length > 0 ? new Date(this.#until) : null,
      for: [...this.#waitingFor].sort(),
    };
  }

  /**
   * What unfinished sessions said, once nobody will go on from it: a snapshot of the database has been begun since, or it is
   * old. What it names is needed by this plan still, and by the next no more (docs/recovery.md, "Why that is enough").
   */
  #endedSessions(): string[] {
    const { unfinished, snapshots, live, readAt } = this.#holdings;
    const running = new Set(live.map(lease => lease.session));
    const held = [...snapshots.values()];
    return unfinished.flatMap(({ session, names, modified, database }) => {
      if (running.has(session)) return [];
      const old = readAt.getTime() - modified.getTime() > UNFINISHED_DAYS * 24 * 3600 * 1000;
      const overtaken = held.some(
        each => each.database === database && (each.copied?.session ?? each.snapshot) > session,
      );
      return old || overtaken ? names : [];
    });
  }

  /** Revisions of manifests that are no more, and void ones that another came after. */
  #strayRevisions(): string[] {
    const { revisions, snapshots, forgotten } = this.#holdings;
    const known = new Set([...snapshots.keys(), ...forgotten]);
    return [...revisions].flatMap(([name, numbers]) => {
      const current = currentRevision(numbers);
      const stray = known.has(name) ? numbers.filter(each => each < 0 && -each < current) : numbers;
      return stray.map(number => revisionName(name, Math.abs(number)));
    });
  }
}

function some(runs: Uint32Array, found: (place: number) => boolean): boolean {
  for (const place of eachPlace(runs)) if (found(place)) return true;
  return false;
}

export function amount(packs: PackSet): Amount {
  return { packs: packs.length, bytes: packs.bytes };
}
