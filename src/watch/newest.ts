/** Whether what is really in the repositories is as new as plans and objectives promise. Pure. */
import { formatDuration } from '../strategy/duration.ts';
import type { Judgement } from './copies.ts';

export interface NewestFacts {
  database: string;
  now: Date;
  rpoMs: number | null;
  /** Every repository that a plan of the database stores in and that could be read. */
  repositories: StoredFacts[];
}

export interface StoredFacts {
  name: string;
  /** The plan that stores there most often, and how often; null: only when asked for. */
  plan: string;
  intervalMs: number | null;
  /** The newest whole snapshot there; null: there is none. */
  newest: { snapshot: string; started: Date; plan: string | null } | null;
  /** Every plan of the database that stores there. */
  plans: readonly string[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export function judgeNewest(facts: NewestFacts): Judgement[] {
  const { repositories } = facts;
  if (repositories.length === 0) return [];
  const held = repositories.filter(each => each.newest !== null);
  const latest = held.reduce<StoredFacts | null>(
    (best, each) => (best && !isNewer(each, best) ? best : each),
    null,
  );
  if (!latest) return [nothing(facts)];
  const late = repositories.flatMap(each => lateness(facts, each, latest));
  return [objective(facts, latest), ...late];
}

function isNewer(a: StoredFacts, b: StoredFacts): boolean {
  return a.newest!.started > b.newest!.started;
}

function nothing({ database, repositories }: NewestFacts): Judgement {
  const message = `there is no whole snapshot of it in ${repositories.map(each => each.name).join(', ')}`;
  return { check: 'newest', level: 'warning', message, hint: `take one: tidemark backup ${database}` };
}

function objective({ database, now, rpoMs, repositories }: NewestFacts, latest: StoredFacts): Judgement {
  const { snapshot, started } = latest.newest!;
  const ageMs = now.getTime() - started.getTime();
  const places = repositories.filter(each => each.newest?.snapshot === snapshot).map(each => each.name);
  const found = `${snapshot} in ${places.join(', ')}, ${ageText(ageMs)} old`;
  if (rpoMs === null) return { check: 'newest', level: 'ok', message: found, hint: '' };
  const message = `${found}; the RPO is ${formatDuration(rpoMs)}`;
  if (ageMs <= rpoMs) return { check: 'newest', level: 'ok', message, hint: '' };
  const hint = `take one now: tidemark backup ${database}; and see why the last ones failed or did not run`;
  return { check: 'newest', level: 'warning', message, hint };
}

/** A repository whose newest is older than the plan that stores there promises, or older than what another has. */
function lateness(facts: NewestFacts, each: StoredFacts, latest: StoredFacts): Judgement[] {
  const { database, now } = facts;
  const copy = `bring it what it lacks: tidemark copy --from ${latest.name} --to ${each.name} --database ${database}`;
  if (!each.newest) {
    const message = `there is nothing whole of it in ${each.name} yet, where plan ${each.plan} stores it`;
    return [{ check: 'newest', level: 'warning', message, hint: copy }];
  }
  const behind = each.newest.snapshot !== latest.newest!.snapshot;
  const ageMs = now.getTime() - each.newest.started.getTime();
  // A run may begin a little late and take its time.
  const late = each.intervalMs !== null && ageMs > each.intervalMs + Math.max(HOUR_MS, each.intervalMs / 10);
  if (!late || each.intervalMs === null) {
    const { plan, snapshot } = latest.newest!;
    if (!behind || plan === null || !each.plans.includes(plan)) return [];
    const message = `${each.name} lacks ${snapshot}, which ${latest.name} has; plan ${plan} stores in both`;
    return [{ check: 'newest', level: 'warning', message, hint: copy }];
  }
  const message = `the newest in ${each.name} is ${ageText(ageMs)} old; plan ${each.plan} stores there every ${formatDuration(each.intervalMs)}`;
  const hint = behind
    ? copy
    : `see why plan ${each.plan} did not run: tidemark backup ${database} --plan ${each.plan}`;
  return [{ check: 'newest', level: 'warning', message, hint }];
}

/** `3 hours`, `2 days`: of an age nobody wants the milliseconds. */
function ageText(ageMs: number): string {
  const [count, unit] =
    ageMs < 2 * HOUR_MS
      ? [Math.max(0, Math.round(ageMs / 60_000)), 'minute']
      : ageMs < 2 * DAY_MS
        ? [Math.round(ageMs / HOUR_MS), 'hour']
        : [Math.round(ageMs / DAY_MS), 'day'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
