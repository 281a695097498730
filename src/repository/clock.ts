import { TidemarkError } from '../base/errors.ts';
import type { Storage } from '../storage/storage.ts';
import { snapshotOf } from './manifest.ts';

/** How far the clocks of machines and storages may be apart: ids say when a snapshot began, and the newest is meant by them. */
export const CLOCK_SLACK_MS = 5 * 60_000;

/** When a snapshot began, by its id, or the name of its manifest. */
export function startOf(name: string): Date {
  const [, year, month, day, hour, minute, second, ms] =
    /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)(\d{3})-/.exec(snapshotOf(name)) ?? [];
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
}

/** Whether a snapshot says to begin after `now`: it was made by a machine whose clock was wrong. */
export function isAhead(name: string, now: Date): boolean {
  return startOf(name).getTime() > now.getTime() + CLOCK_SLACK_MS;
}

/** Milliseconds that this machine's clock is ahead of the storage's; negative: behind. */
export async function clockOffsetMs(storage: Storage): Promise<number> {
  const before = Date.now();
  const there = (await storage.now()).getTime();
  // Whatever lies within the time of the asking is no difference.
  if (there < before) return before - there;
  return Math.min(0, Date.now() - there);
}

/** @throws TidemarkError CLOCK_WRONG where the clocks are so far apart that a snapshot would be dated wrong. */
export async function requireClock(storage: Storage): Promise<void> {
  const offsetMs = await clockOffsetMs(storage);
  if (Math.abs(offsetMs) > CLOCK_SLACK_MS) throw clockWrong(storage.place, offsetMs);
}

export function clockWrong(place: string, offsetMs: number): TidemarkError {
  return new TidemarkError(
    'CLOCK_WRONG',
    `the clock of this machine is ${formatOffset(Math.abs(offsetMs))} ${offsetMs > 0 ? 'ahead of' : 'behind'} that of ${place}`,
    "set the clock ('timedatectl set-ntp true' where systemd does it), then run the command again: a snapshot that is dated wrong is taken for the newest, or never",
  );
}

function formatOffset(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.round(ms / 3_600_000);
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}
