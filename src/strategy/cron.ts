/**
 * Schedules in cron's five fields, always in UTC: minute, hour, day of month, month, day of week (crontab(5)). Lists,
 * ranges, steps and English names; where both days are restricted, either one is enough, as in crontab(5).
 */
import { usageError } from '../base/errors.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const MINUTES_OF_HOUR = 60;

/** Nine years hold two leap days, so that every gap but those around a century without one is seen. */
const WINDOW_DAYS = 9 * 366;
/** The Gregorian calendar repeats itself, weekdays included, after 400 years. */
const CALENDAR_CYCLE_DAYS = 146_097;
const WINDOW_START_MS = Date.UTC(2024, 0, 1);

const MONTH_NAMES = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const LONGEST_MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface Field {
  name: string;
  from: number;
  to: number;
  names: readonly string[];
}

const FIELDS: readonly Field[] = [
  { name: 'minute', from: 0, to: 59, names: [] },
  { name: 'hour', from: 0, to: 23, names: [] },
  { name: 'day of the month', from: 1, to: 31, names: [] },
  { name: 'month', from: 1, to: 12, names: MONTH_NAMES },
  { name: 'day of the week', from: 0, to: 7, names: WEEKDAY_NAMES },
];

/** A schedule as it was read; made only by `parseCron`, which sees to it that it fires at some time. */
export interface Cron {
  /** As written. */
  text: string;
  /** Minutes of a day on which it fires, ascending. */
  minutesOfDay: readonly number[];
  days: ReadonlySet<number>;
  /** 1 to 12. */
  months: ReadonlySet<number>;
  /** 0 (Sunday) to 6. */
  weekdays: ReadonlySet<number>;
  /** Both days are restricted: one of them is enough. */
  eitherDay: boolean;
}

/**
 * Reads a five-field schedule, such as `0 2 * * *`, `30 8-18 * * mon-fri` or `0 4 1 jan,jul *`.
 *
 * @throws TidemarkError SCHEDULE_INVALID (usage): a field that can't be read, or dates that never come (`0 0 31 2 *`).
 */
export function parseCron(text: string): Cron {
  const written = text.trim().split(/\s+/);
  if (written.length !== FIELDS.length || text.trim() === '') {
    const fields = text.trim() === '' ? 0 : written.length;
    throw invalid(
      `has ${fields} fields instead of five`,
      'write minute, hour, day, month and weekday, such as "0 2 * * *"',
    );
  }
  const [minutes, hours, days, months, weekdays] = written.map((part, i) => readField(part, FIELDS[i]!)) as [
    number[],
    number[],
    number[],
    number[],
    number[],
  ];
  const minutesOfDay = hours.flatMap(hour => minutes.map(minute => hour * MINUTES_OF_HOUR + minute));
  const eitherDay = !written[2]!.startsWith('*') && !written[4]!.startsWith('*');
  if (!eitherDay && !months.some(month => days[0]! <= LONGEST_MONTH_DAYS[month - 1]!)) {
    throw invalid('never fires: none of its months has such a day', 'choose a day that its months have');
  }
  return {
    text: text.trim(),
    minutesOfDay,
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays.map(day => day % 7)),
    eitherDay,
  };
}

/** The first moment after `after` (never `after` itself) at which the schedule fires, in UTC. */
export function next(cron: Cron, after: Date): Date {
  const soonestMs = Math.floor(after.getTime() / MINUTE_MS + 1) * MINUTE_MS;
  const firstDayMs = Math.floor(soonestMs / DAY_MS) * DAY_MS;
  for (let day = 0; day <= CALENDAR_CYCLE_DAYS; day++) {
    const dayMs = firstDayMs + day * DAY_MS;
    if (!firesOn(cron, new Date(dayMs))) continue;
    const minute = cron.minutesOfDay.find(minuteOfDay => dayMs + minuteOfDay * MINUTE_MS >= soonestMs);
    if (minute !== undefined) return new Date(dayMs + minute * MINUTE_MS);
  }
  throw invalid('never fires', 'choose a day that its months have');
}

/**
 * The longest time between two fires, in milliseconds: what may be lost at worst by who relies on it. Of several
 * schedules, the longest time in which none of them fires.
 *
 * @param crons at least one.
 */
export function intervalMs(...crons: readonly Cron[]): number {
  return (
    longestGapMs(crons, WINDOW_DAYS) ??
    longestGapMs(crons, 2 * CALENDAR_CYCLE_DAYS) ??
    Number.POSITIVE_INFINITY
  );
}

/** Null where fewer than two fires fall into the window. */
function longestGapMs(crons: readonly Cron[], windowDays: number): number | null {
  const daysSeen = new Map<string, { firstMs: number; lastMs: number; gapMs: number }>();
  let longestMs: number | null = null;
  let previousMs: number | null = null;
  for (let day = 0; day < windowDays; day++) {
    const date = new Date(WINDOW_START_MS + day * DAY_MS);
    const firing = crons.filter(cron => firesOn(cron, date));
    if (firing.length === 0) continue;
    const combination = firing.map(cron => crons.indexOf(cron)).join();
    const withinDay = daysSeen.get(combination) ?? firesWithinDay(firing);
    daysSeen.set(combination, withinDay);
    const sincePreviousMs = previousMs === null ? 0 : day * DAY_MS + withinDay.firstMs - previousMs;
    const gapMs = Math.max(withinDay.gapMs, sincePreviousMs);
    if (gapMs > 0) longestMs = Math.max(longestMs ?? 0, gapMs);
    previousMs = day * DAY_MS + withinDay.lastMs;
  }
  return longestMs;
}

function firesWithinDay(crons: readonly Cron[]): { firstMs: number; lastMs: number; gapMs: number } {
  const minutes = [...new Set(crons.flatMap(cron => cron.minutesOfDay))].sort((a, b) => a - b);
  let gapMinutes = 0;
  for (let i = 1; i < minutes.length; i++) gapMinutes = Math.max(gapMinutes, minutes[i]! - minutes[i - 1]!);
  return {
    firstMs: minutes[0]! * MINUTE_MS,
    lastMs: minutes.at(-1)! * MINUTE_MS,
    gapMs: gapMinutes * MINUTE_MS,
  };
}

function firesOn(cron: Cron, date: Date): boolean {
  if (!cron.months.has(date.getUTCMonth() + 1)) return false;
  const day = cron.days.has(date.getUTCDate());
  const weekday = cron.weekdays.has(date.getUTCDay());
  return cron.eitherDay ? day || weekday : day && weekday;
}

/** The numbers that one field allows, ascending, each once. */
function readField(text: string, field: Field): number[] {
  const numbers = new Set<number>();
  for (const item of text.toLowerCase().split(',')) {
    const match = /^(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:\/([0-9]+))?$/.exec(item);
    if (!match) throw invalid(`has a ${field.name} that can't be read`, fieldHint(field));
    const [, span = '', stepText] = match;
    const [low = '', high] = span.split('-');
    if (stepText !== undefined && span !== '*' && high === undefined) {
      throw invalid(
        `has a step after a single ${field.name}`,
        'name the range that it steps through, such as 10-59/15',
      );
    }
    const from = span === '*' ? field.from : readNumber(low, field);
    // Sunday is both 0 and 7; a star means each day once.
    const last = field.names === WEEKDAY_NAMES ? 6 : field.to;
    const to = span === '*' ? last : readNumber(high ?? low, field);
    const step = Number(stepText ?? 1);
    if (from > to)
      throw invalid(
        `has a ${field.name} range that runs backwards`,
        'write it as two ranges with a comma between',
      );
    if (step < 1 || step > field.to - field.from + 1) {
      throw invalid(
        `has a ${field.name} step that is out of range`,
        `choose a step from 1 to ${field.to - field.from + 1}`,
      );
    }
    for (let number = from; number <= to; number += step) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

function readNumber(text: string, field: Field): number {
  const named = field.names.indexOf(text);
  if (named >= 0) return named + (field.names === MONTH_NAMES ? 1 : 0);
  const number = /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= field.from && number <= field.to) return number;
  throw invalid(`has a ${field.name} that is out of range`, fieldHint(field));
}

function fieldHint(field: Field): string {
  const names = field.names.length > 0 ? ` or ${field.names[0]} to ${field.names.at(-1)}` : '';
  return `the ${field.name} is ${field.from} to ${field.to}${names}, *, a range (1-5), a list (1,3) or a step (*/2)`;
}

function invalid(fault: string, hint: string) {
  return usageError('SCHEDULE_INVALID', `the schedule ${fault}`, hint);
}
