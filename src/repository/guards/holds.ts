/**
 * Holds: while there is one on a snapshot, nothing ends that snapshot. docs/format.md ("Holds") says what they are,
 * docs/recovery.md ("Holds") why a hold that was placed can't be overtaken by a forgetting.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TidemarkError, usageError } from '../../base/errors.ts';
import { newSessionId } from '../manifest.ts';
import { RecordFolder } from '../records/recordFolder.ts';
import type { Repository } from '../repository.ts';
import { runningSessions } from './lease.ts';

/** What somebody said when they placed a hold. */
export interface HoldText {
  reason: string;
  /** ISO 8601; null: until it is released. */
  until: string | null;
  /** Who, as the machine knew. */
  by: string;
}

/** One hold on one snapshot; what it says is null where its object can't be read. */
export interface Hold {
  id: string;
  reason: string | null;
  /** ISO 8601, the storage's clock. */
  since: string | null;
  until: string | null;
  by: string | null;
  /** It no longer holds, by the storage's clock. One that can't be read never expires. */
  expired: boolean;
}

/** The JSON of `holds/<snapshot>/<id>`. */
interface HoldContent extends HoldText {
  format: 1;
  since: string;
}

/** A hold that can't be read holds: whoever placed it meant the snapshot to stay. */
export const HOLDS = new RecordFolder<HoldContent, 'damaged' | 'unknown'>('holds/', {
  damaged: 'damaged',
  tooNew: 'unknown',
  newerKey: 'unknown',
  foreignIsDamage: true,
});

/** The lease that is held while snapshots are forgotten. */
export const FORGET_LEASE = 'forget';

/** How long whoever places a hold waits for a forgetting that is under way. */
export interface Patience {
  tries: number;
  pause(): Promise<unknown>;
}

const PATIENT: Patience = { tries: 120, pause: () => delay(500) };

/** All holds by snapshot, oldest first; or those of one snapshot. */
export async function readHolds(
  repository: Repository,
  now: Date,
  snapshot?: string,
): Promise<Map<string, Hold[]>> {
  const holds = new Map<string, Hold[]>();
  for (const { id } of await HOLDS.list(repository.storage, snapshot && `${snapshot}/`)) {
    const content = await HOLDS.read(repository, id);
    const [of, hold] = id.split('/') as [string, string];
    if (content) holds.set(of, [...(holds.get(of) ?? []), asHold(hold, content, now)]);
  }
  return holds;
}

function asHold(id: string, content: HoldContent | 'damaged' | 'unknown', now: Date): Hold {
  if (typeof content === 'string')
    return { id, reason: null, since: null, until: null, by: null, expired: false };
  const { reason, since, until, by } = content;
  // A date that is none compares false: it holds.
  const expired = until !== null && Date.parse(until) <= now.getTime();
  return { id, reason, since, until, by, expired };
}

/** Those that hold. */
export function standing(holds: readonly Hold[] | undefined): Hold[] {
  return (holds ?? []).filter(hold => !hold.expired);
}

/**
 * Places a hold. When this returns, nothing that keeps to docs/recovery.md ends the snapshot before the hold is released
 * or expires. Throws SNAPSHOT_GONE where the snapshot was forgotten meanwhile, UNTIL_PAST, and HOLD_UNCERTAIN where a
 * forgetting is under way that takes too long: then the hold stands, but may have come too late.
 */
export async function placeHold(
  repository: Repository,
  snapshot: string,
  text: HoldText,
  patience: Patience = PATIENT,
): Promise<Hold> {
  const { storage } = repository;
  const now = await storage.now();
  if (text.until !== null && !(Date.parse(text.until) > now.getTime())) {
    throw usageError('UNTIL_PAST', `${text.until} has gone by`, 'name a later date, or none');
  }
  const id = newSessionId(now);
  const content = { ...text, since: now.toISOString() };
  await HOLDS.write(repository, `${snapshot}/${id}`, content);
  await outwait(repository, snapshot, patience);
  if ((await repository.namesOf(snapshot)).length === 0) {
    await releaseHold(repository, snapshot, id);
    throw usageError(
      'SNAPSHOT_GONE',
      `snapshot ${snapshot} is not in ${storage.place} any more`,
      "'tidemark list' shows the snapshots",
    );
  }
  return { id, ...text, since: content.since, expired: false };
}

/** Until no forgetting is under way that may have looked for holds before this one was there. */
async function outwait(repository: Repository, snapshot: string, patience: Patience): Promise<void> {
  const { storage } = repository;
  const started = new Set(await runningSessions(storage, FORGET_LEASE));
  for (let tried = 0; started.size > 0; tried++) {
    if (tried === patience.tries) {
      throw new TidemarkError(
        'HOLD_UNCERTAIN',
        `snapshot ${snapshot} is held in ${storage.place}, but a 'tidemark forget' or prune that started earlier is still running and may still remove it`,
        `wait for it to finish, then run 'tidemark show ${snapshot}'; the lease of a run that was killed expires within 30 minutes`,
      );
    }
    await patience.pause();
    const running = new Set(await runningSessions(storage, FORGET_LEASE));
    for (const session of started) if (!running.has(session)) started.delete(session);
  }
}

/** Releases one hold. From then on it no longer holds, also where it could not be read. */
export async function releaseHold(repository: Repository, snapshot: string, id: string): Promise<void> {
  await HOLDS.remove(repository.storage, `${snapshot}/${id}`);
}

/** Throws SNAPSHOT_HELD where one of these holds. */
export function refuseHeld(snapshot: string, holds: readonly Hold[] | undefined, place: string): void {
  const [hold, ...more] = standing(holds);
  if (!hold) return;
  const others = more.length > 0 ? `, and ${more.length} more` : '';
  throw usageError(
    'SNAPSHOT_HELD',
    `snapshot ${snapshot} in ${place} is ${holdText(hold)}${others}`,
    `it stays until it is released: tidemark release ${snapshot}`,
  );
}

/** `held until 2027-01-31: case 17`. */
export function holdText({ id, reason, until }: Hold): string {
  if (reason === null) return `held by ${id}, which can't be read`;
  return `held${until === null ? '' : ` until ${until.slice(0, 16).replace('T', ' ')}`}: ${reason}`;
}
