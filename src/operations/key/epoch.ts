import { usageError } from '../../base/errors.ts';
import { beginEpoch, type Carried, type JudgedSlot } from '../../repository/keys/changeSlots.ts';
import type { KeySlot, Secret, SlotOwner } from '../../repository/keys/slots.ts';
import { ownerOf } from '../../repository/keys/slots.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { kindOf } from './add.ts';
import { changingKeys, type OpenedKeys, opensWith } from './opened.ts';
import { readGivenSecret } from './owner.ts';
import { unknownSlot } from './remove.ts';
import { ownerAgain } from './rotate.ts';

export interface BeginEpochRequest {
  strategy: Strategy;
  repository: string;
  /** Secrets of other slots, as `key-file=PATH` and the like. */
  with: readonly string[];
  /** Slots that are not carried over: they read what was stored until now, and nothing after. */
  retire: readonly string[];
  /** Shown before anything is written; false ends it with nothing done. */
  confirm(planned: PlannedEpoch): Promise<boolean>;
}

export interface PlannedEpoch {
  repository: string;
  epoch: number;
  /** Slots that are made anew in it, and for whom. */
  carried: { slot: string; kind: string; for: string }[];
  retired: string[];
}

/** What `tidemark key rotate --epoch --json` prints. */
export interface NewEpoch {
  repository: string;
  epoch: number;
  slots: { slot: string; replaces: string }[];
  retired: string[];
}

/** Begins an epoch: what is stored from now on has another master key. What is stored already stays as it is. */
export async function rotateEpoch(request: BeginEpochRequest): Promise<NewEpoch> {
  const { strategy, repository: name } = request;
  const given = await Promise.all(request.with.map(each => readGivenSecret(each, strategy.environment)));
  return changingKeys(strategy, name, async opened => {
    // What is damaged may have been somebody's way in: it is not left behind without a word.
    const meant = opened.slots.filter(each => each.state === 'current' || each.state === 'damaged');
    for (const slot of request.retire)
      if (!meant.some(each => each.name === slot)) throw unknownSlot(slot, opened);
    const staying = meant.filter(each => !request.retire.includes(each.name));
    const carried = await carriedOver(staying, [opened.secret, ...given], opened);
    const planned = planOf(name, opened, carried, request.retire);
    if (!(await request.confirm(planned))) {
      throw usageError(
        'NOT_CONFIRMED',
        'the epoch was not confirmed',
        'nothing was done; confirm it, or say --yes',
      );
    }
    await opened.stillAlone();
    const { epoch, slots } = await beginEpoch(opened.repository, carried, new Date());
    return { repository: name, epoch, slots, retired: [...request.retire] };
  });
}

/** All of these slots, with whom their successors are for; those of which it isn't known are an error, all at once. */
async function carriedOver(
  slots: readonly JudgedSlot[],
  secrets: readonly Secret[],
  { strategy, spec, repository, secret }: OpenedKeys,
): Promise<Carried[]> {
  const carried: Carried[] = [];
  const unknown: string[] = [];
  for (const { slot, name, state } of slots) {
    const whole = slot && state === 'current';
    const owner = whole && ((await ownerAtHand(slot)) ?? ownerAgain(slot, strategy.environment));
    if (whole && owner) carried.push({ slot, owner });
    else unknown.push(name);
  }
  if (unknown.length > 0) throw leftBehind(unknown, spec.name);
  const own = await Promise.all(carried.map(each => opensWith(each.slot, repository, secret)));
  if (own.some(Boolean)) return carried;
  throw usageError(
    'KEY_IN_USE',
    `the strategy opens ${spec.name} with a slot that would be retired`,
    'change `key:` in the strategy to a secret that stays valid, then run this again',
  );

  async function ownerAtHand(slot: KeySlot): Promise<SlotOwner | undefined> {
    for (const each of secrets) if (await opensWith(slot, repository, each)) return ownerForSlot(slot, each);
    return undefined;
  }
}

/** A slot of several age recipients stays one for all of them, whoever's identity is at hand. */
async function ownerForSlot(slot: KeySlot, secret: Secret): Promise<SlotOwner | undefined> {
  if (slot.kind !== 'key' && slot.kind !== 'passphrase') return undefined;
  return ownerOf(secret);
}

function planOf(
  name: string,
  { repository }: OpenedKeys,
  carried: Carried[],
  retire: readonly string[],
): PlannedEpoch {
  return {
    repository: name,
    epoch: repository.keys.newest + 1,
    carried: carried.map(({ slot, owner }) => ({
      slot: slot.slot,
      kind: kindOf(owner),
      for: ownerText(owner),
    })),
    retired: [...retire],
  };
}

function ownerText(owner: SlotOwner): string {
  if (owner.kind === 'age') return owner.recipients.join(', ');
  return owner.kind === 'service' ? owner.key : owner.where;
}

function leftBehind(names: string[], repository: string): Error {
  return usageError(
    'KEYS_LEFT_BEHIND',
    `cannot re-encrypt these key slots for the new epoch (damaged, or secret not provided): ${names.join(', ')}`,
    `provide their secrets (--with key-file=PATH, passphrase-env=NAME …), or drop them from new backups: tidemark key rotate ${repository} --epoch --retire ${names.join(' ')}`,
  );
}
