import { usageError } from '../../base/errors.ts';
import { type JudgedSlot, removeSlot } from '../../repository/keys/changeSlots.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { changingKeys, type OpenedKeys, slotOpenedBy } from './opened.ts';

export interface RemoveKeyRequest {
  strategy: Strategy;
  repository: string;
  slot: string;
  /** Shown before the slot is removed; false ends it with nothing done. */
  confirm(planned: RemovedKey): Promise<boolean>;
}

/** What `tidemark key remove --json` prints. */
export interface RemovedKey {
  repository: string;
  slot: string;
  /** What somebody should know before, or do after. */
  warnings: string[];
}

/** Takes one way of opening a repository away; never the last of the newest epoch. */
export async function removeKey(request: RemoveKeyRequest): Promise<RemovedKey> {
  const { strategy, repository: name, slot } = request;
  return changingKeys(strategy, name, async opened => {
    const found = opened.slots.find(each => each.name === slot);
    if (!found && opened.finished.includes(slot)) return { repository: name, slot, warnings: [] };
    if (!found) throw unknownSlot(slot, opened);
    const left = opened.slots.filter(each => each !== found && each.state === 'current');
    if (left.length === 0) throw lastSlot(slot, name);
    const planned = { repository: name, slot, warnings: await warningsOf(found, left, opened) };
    if (!(await request.confirm(planned))) {
      throw usageError(
        'NOT_CONFIRMED',
        'the removal was not confirmed',
        'nothing was done; confirm it, or say --yes',
      );
    }
    await opened.stillAlone();
    await removeSlot(opened.repository, slot);
    return planned;
  });
}

async function warningsOf(
  removed: JudgedSlot,
  left: readonly JudgedSlot[],
  { repository, secret, spec }: OpenedKeys,
): Promise<string[]> {
  const warnings: string[] = [];
  if (!(await slotOpenedBy(left, repository, secret))) {
    warnings.push(
      `the strategy opens ${spec.name} with this slot: nothing will run until key says one of ${left.map(each => each.name).join(', ')}`,
    );
  }
  if (removed.state === 'current') {
    warnings.push(
      `whoever has opened ${spec.name} with it may still have its master key; 'tidemark key rotate ${spec.name} --epoch' keeps what is stored from then on from them`,
    );
  }
  return warnings;
}

export function unknownSlot(slot: string, { slots, spec }: Pick<OpenedKeys, 'slots' | 'spec'>): Error {
  const names = slots.map(each => each.name).join(', ');
  return usageError('SLOT_UNKNOWN', `repository ${spec.name} has no slot ${slot}`, `it has: ${names}`);
}

function lastSlot(slot: string, name: string): Error {
  return usageError(
    'LAST_SLOT',
    `${slot} is the last slot that opens the newest epoch of ${name}`,
    'without it nobody could read what is stored; add another first: tidemark key add',
  );
}
