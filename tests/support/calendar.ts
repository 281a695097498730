import { type RetainableSnapshot, retain } from '../../src/operations/prune/retain.ts';
import { next } from '../../src/strategy/cron.ts';
import type { PlanSpec, Strategy } from '../../src/strategy/spec.ts';

const DAY_MS = 86_400_000;

/**
 * The years of a strategy, without any data: each plan makes its snapshots on time in each of its repositories, and every
 * day at 05:00 what retention says is forgotten.
 */
export class Calendar {
  readonly #strategy: Strategy;
  readonly #manual: Readonly<Record<string, readonly Date[]>>;
  readonly #repositories: Map<string, Map<string, RetainableSnapshot>>;
  #now: Date;
  #made = 0;
  /** Plans capture nothing while this is false. */
  running = true;

  /** @param manual when plans without a schedule are carried out, as `2026-03-01 10:00`. */
  constructor(strategy: Strategy, start: string, manual: Record<string, string[]> = {}) {
    this.#strategy = strategy;
    this.#now = utc(start);
    this.#manual = Object.fromEntries(Object.entries(manual).map(([plan, times]) => [plan, times.map(utc)]));
    this.#repositories = new Map([...strategy.repositories.keys()].map(name => [name, new Map()]));
  }

  /** Lets time pass, until just before this minute. */
  until(text: string): this {
    const end = utc(text);
    while (this.#now < end) {
      const prune = new Date(Math.floor(this.#now.getTime() / DAY_MS) * DAY_MS + DAY_MS * (5 / 24));
      if (prune <= this.#now) prune.setTime(prune.getTime() + DAY_MS);
      const stop = prune < end ? prune : end;
      if (this.running) for (const plan of this.#strategy.plans.values()) this.#capture(plan, stop);
      this.#now = stop;
      this.prune();
    }
    return this;
  }

  #capture(plan: PlanSpec, end: Date): void {
    const fires: Date[] = [];
    if (plan.schedule) {
      const before = new Date(this.#now.getTime() - 1);
      for (let time = next(plan.schedule.cron, before); time < end; time = next(plan.schedule.cron, time))
        fires.push(time);
    } else fires.push(...(this.#manual[plan.name] ?? []).filter(time => time >= this.#now && time < end));
    for (const time of fires) for (const repository of plan.store) this.#add(plan, repository, time);
  }

  #add({ name: plan, database, ...spec }: PlanSpec, repository: string, time: Date): void {
    const stamp = time
      .toISOString()
      .replace(/[-:.Z]/g, '')
      .replace('T', '-');
    const snapshot = `${stamp}-${(++this.#made % 2 ** 32).toString(16).padStart(8, '0')}`;
    const { include, exclude } = spec.tables;
    const scope = {
      tables: include,
      excludeTables: exclude,
      schemaOnly: spec.schemaOnly,
      dataOnly: spec.dataOnly,
    };
    const started = time.toISOString();
    this.#repositories.get(repository)!.set(snapshot, {
      ...{ snapshot, database, plan, started, good: true },
      scope: { ...scope, rolePasswords: false },
    });
  }

  prune(): void {
    for (const [repository, snapshots] of this.#repositories) {
      const groups = retain(this.#strategy, repository, { readAt: this.#now, snapshots, holds: new Map() });
      for (const { name, keep } of groups.flatMap(group => group.snapshots))
        if (!keep) snapshots.delete(name);
    }
  }

  /** When what is left of a plan was taken, oldest first: `2026-03-01 02:00`. */
  left(plan: string, repository: string): string[] {
    return [...this.#repositories.get(repository)!.values()]
      .filter(each => each.plan === plan)
      .map(each => each.started.slice(0, 16).replace('T', ' '))
      .sort();
  }

  /** How many snapshots are left in a repository. */
  count(repository: string): number {
    return this.#repositories.get(repository)!.size;
  }
}

function utc(text: string): Date {
  return new Date(`${text.replace(' ', 'T')}:00Z`);
}

/** Every so many days from one to another, both included: `2026-03-01 02:00`. */
export function days(from: string, to: string, time: string, step = 1): string[] {
  const all: string[] = [];
  for (let ms = Date.parse(`${from}T00:00Z`); ms <= Date.parse(`${to}T00:00Z`); ms += step * DAY_MS)
    all.push(`${new Date(ms).toISOString().slice(0, 10)} ${time}`);
  return all;
}

/** Every week on the weekday of `from`. */
export function weeks(from: string, to: string, time: string): string[] {
  return days(from, to, time, 7);
}

/** The first of every month: `2026-03`, `2027-02`. */
export function months(from: string, to: string, time: string): string[] {
  const all: string[] = [];
  for (let [year, month] = from.split('-').map(Number) as [number, number]; ; month++) {
    if (month > 12) [year, month] = [year + 1, 1];
    const text = `${year}-${String(month).padStart(2, '0')}`;
    all.push(`${text}-01 ${time}`);
    if (text === to) return all;
  }
}

/** Every hour from one to another, both included: `2026-03-01 02`. */
export function hours(from: string, to: string): string[] {
  const all: string[] = [];
  const ms = (text: string) => Date.parse(`${text.replace(' ', 'T')}:00Z`);
  for (let at = ms(from); at <= ms(to); at += DAY_MS / 24)
    all.push(new Date(at).toISOString().slice(0, 16).replace('T', ' '));
  return all;
}
