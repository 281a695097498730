import { usageError } from '../../base/errors.ts';
import { type JudgedSlot, removeSlot } from '../../repository/keys/changeSlots.ts';
import type { KeySlot, Secret, SlotOwner } from '../../repository/keys/slots.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { readSecret } from '../open/open.ts';
import { makeKeyBeside, swapKeyFile, type WaitingKey } from './keyFileSwap.ts';
import { changingKeys, type OpenedKeys, opensWith, slotOpenedBy } from './opened.ts';
import { findOwner, isOwnerGiven, type OwnerOptions } from './owner.ts';
import { unknownSlot } from './remove.ts';
import { storeSlot } from './storeSlot.ts';
import { Undo } from './undo.ts';

export interface RotateKeyRequest {
  strategy: Strategy;
  repository: string;
  /** Null: the one that the strategy opens the repository with. */
  slot: string | null;
  /** What the new slot is for; with none, as the old one's. */
  owner: OwnerOptions;
}

/** What `tidemark key rotate --json` prints. */
export interface RotatedKey {
  repository: string;
  /** Null where the command only finished a rotation that had been cut off. */
  slot: string | null;
  /** Slots that were removed. */
  removed: string[];
  /** The key file that has another key now, or that was made. */
  keyFile: string | null;
  /** What is still to be done, if anything is. */
  next: string | null;
}

/**
 * Replaces the secret of a slot; nothing that is stored is written anew. The old slot goes only when the strategy opens the
 * repository without it: cut off anywhere, the command leaves a repository that opens with the old or the new secret, and
 * goes on when it is run again.
 */
export async function rotateKey(request: RotateKeyRequest): Promise<RotatedKey> {
  const undo = new Undo();
  try {
    return await changingKeys(request.strategy, request.repository, opened => rotate(request, opened, undo));
  } catch (error) {
    await undo.run();
    throw error;
  }
}

async function rotate(request: RotateKeyRequest, opened: OpenedKeys, undo: Undo): Promise<RotatedKey> {
  const { repository, spec, slots, finished } = opened;
  const done = { repository: spec.name, slot: null, removed: finished, keyFile: null, next: null };
  if (finished.length > 0 && request.slot === null && !isOwnerGiven(request.owner)) return done;
  const old = await slotToReplace(request.slot, opened);
  const replacement = await replacementOf(old, request.owner, opened, undo);
  const { owner, waiting } = replacement;
  // A slot that is there is taken up: left by a rotation that was cut off. For services and recipients it is made anew.
  const known = owner.kind === 'key' || owner.kind === 'passphrase';
  const there = known ? await slotOpenedBy(slots, repository, owner) : undefined;
  if (there?.slot === old.slot) throw sameSecret(old.slot);
  const slot = there ?? (await storeSlot(repository, { owner, replaces: old.slot }, undo));
  undo.forget();
  if (waiting) await swapKeyFile(waiting);
  const keyFile = waiting?.file ?? replacement.made;
  const ready = await strategyOpens(slot, old, opened);
  if (!ready) return { ...done, slot: slot.slot, keyFile, next: switchOver(spec.name) };
  const removed = [...finished];
  await opened.stillAlone();
  for (const name of superseded(slots, old.slot, slot.slot)) {
    await removeSlot(repository, name);
    removed.push(name);
  }
  return { ...done, slot: slot.slot, removed, keyFile };
}

async function slotToReplace(name: string | null, opened: OpenedKeys): Promise<KeySlot> {
  const { slots, repository, secret } = opened;
  if (name === null) {
    const slot = await slotOpenedBy(slots, repository, secret);
    if (slot) return slot;
  }
  const found = slots.find(each => each.name === name);
  if (!found) throw unknownSlot(name ?? '', opened);
  if (found.slot && found.state === 'current') return found.slot;
  throw usageError(
    'SLOT_UNUSABLE',
    `slot ${name} is ${found.state}`,
    'only slots that open the newest epoch are rotated; remove this one, and add another',
  );
}

interface Replacement {
  owner: SlotOwner;
  made: string | null;
  waiting?: WaitingKey;
}

/** Whom the new slot is for: as told, else as far as it can be known without asking. */
async function replacementOf(
  old: KeySlot,
  given: OwnerOptions,
  opened: OpenedKeys,
  undo: Undo,
): Promise<Replacement> {
  const { strategy, spec, repository, secret } = opened;
  if (isOwnerGiven(given)) return findOwner(given, strategy, spec, undo);
  const again = ownerAgain(old, strategy.environment);
  if (again) return { owner: again, made: null };
  if (old.kind === 'key' && spec.key.kind === 'file' && (await opensWith(old, repository, secret))) {
    const waiting = await makeKeyBeside(spec.key.path, undo);
    return { owner: { kind: 'key', text: waiting.text, where: waiting.beside }, made: null, waiting };
  }
  throw usageError(
    'KEY_OPTION',
    `what is to open the new slot in place of ${old.slot} is not said`,
    'give it: --key-file, --key-env, --passphrase-file, --passphrase-env, --age or --kms',
  );
}

/** The owner of a slot that can be made for again from what the slot says: its mac must be right. */
export function ownerAgain(slot: KeySlot, environment: Strategy['environment']): SlotOwner | undefined {
  if (slot.mac === undefined) return undefined;
  if (slot.kind === 'age') return { kind: 'age', recipients: slot.recipients ?? [] };
  if (slot.kind === 'key' || slot.kind === 'passphrase') return undefined;
  // Of Key Vault the slot names a version; the new slot is for the newest.
  const key = slot.kind === 'azure-kv' ? slot.key!.replace(/(\/keys\/[^/]+)\/.*/, '$1') : slot.key!;
  return { kind: 'service', service: slot.kind, key, environment, where: key };
}

/** Whether everything runs on without the old slot. What the strategy names is read again: it may have changed. */
async function strategyOpens(slot: KeySlot, old: KeySlot, opened: OpenedKeys): Promise<boolean> {
  const { strategy, spec, repository, slots } = opened;
  const secret: Secret = await readSecret(spec.key, strategy.environment);
  if (await opensWith(slot, repository, secret)) return true;
  const others = slots.filter(each => each.name !== old.slot);
  return (await slotOpenedBy(others, repository, secret)) !== undefined;
}

/** The old slot, and what earlier rotations that came to nothing had put in its place. */
function superseded(slots: readonly JudgedSlot[], old: string, made: string): string[] {
  const others = slots.filter(
    each => each.slot?.replaces === old && each.name !== made && each.slot.mac !== undefined,
  );
  return [old, ...others.map(each => each.name)];
}

function switchOver(name: string): string {
  return `change \`key:\` in the strategy to the new secret, then run: tidemark key rotate ${name}`;
}

function sameSecret(slot: string): Error {
  return usageError('KEY_SAME', `that is what opens slot ${slot} already`, 'give another secret');
}
