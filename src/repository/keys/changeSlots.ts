/**
 * Adding, replacing and removing slots, and beginning epochs (docs/format.md, "Epochs"). Every step leaves a repository
 * that opens with what opened it before, or with what is to open it after; docs/guides/keys.md says what a crash leaves.
 */
import { randomBytes } from 'node:crypto';
import { faultError, TidemarkError, usageError } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Repository } from '../repository.ts';
import { epochName, newEpochObject, sealOlder } from './epochs.ts';
import { EpochKeys, type RepositoryKeys } from './keys.ts';
import { nameOf, readSlots, type StoredSlot } from './openKeys.ts';
import {
  epochOf,
  type KeySlot,
  macHolds,
  mayBeWhole,
  plainObject,
  SLOT_NAME,
  type SlotOwner,
  unwrapKey,
  vouchingEpoch,
  wrapKey,
} from './slots.ts';

/**
 * current: opens the newest epoch. retired: an older one. unfinished: of an epoch that never began, or left from a start of
 * one that failed; it opens nothing. damaged: it can't be read, or is not as it was written.
 */
export type SlotState = 'current' | 'retired' | 'unfinished' | 'damaged';

export interface JudgedSlot extends StoredSlot {
  /** As in its object's name, whatever it holds. */
  name: string;
  state: SlotState;
}

/** All slots, by name. Those whose epoch the keys don't open are judged by their form alone; without keys, all are. */
export async function judgeSlots(
  storage: Storage,
  keys: RepositoryKeys | undefined,
  newest: number,
): Promise<JudgedSlot[]> {
  return (await readSlots(storage)).map(stored => {
    const name = nameOf(stored);
    const { slot, fault } = stored;
    // One that could not be read just now is no damaged one: what is decided by its state must wait.
    if (fault && fault.kind !== 'fault') throw fault;
    const state = (): SlotState => {
      if (!slot || slot.slot !== name) return 'damaged';
      const epoch = epochOf(slot);
      if (keys && !mayBeWhole(slot, keys)) {
        const left = epoch > 0 && slot.mac !== undefined && vouchingEpoch(slot, keys) === undefined;
        return left ? 'unfinished' : 'damaged';
      }
      if (epoch > newest) return 'unfinished';
      return epoch < newest ? 'retired' : 'current';
    };
    return { ...stored, name, state: state() };
  });
}

export interface NewSlot {
  owner: SlotOwner;
  /** Absent: after the kind, or after the slot that it replaces, with a number that is free. */
  name?: string;
  replaces?: string;
}

/** Adds a slot of the newest epoch. When it returns, the slot was read back and, where its secret is at hand, opened. */
export async function addSlot(repository: Repository, wanted: NewSlot): Promise<KeySlot> {
  const { storage, keys } = repository;
  const own = keys.current;
  const older = own.epoch === 0 ? undefined : sealOlder(own, keys.ring.masters.slice(0, own.epoch));
  const taken = takenObjects(await readSlots(storage));
  if (wanted.name !== undefined && taken.has(`keys/${wanted.name}.json`))
    throw nameTaken(storage, wanted.name);
  const name = wanted.name ?? freeName(taken, wanted.replaces ?? stemOf(wanted.owner));
  return writeSlot(storage, own, name, wanted, older);
}

async function writeSlot(
  storage: Storage,
  keys: EpochKeys,
  name: string,
  { owner, replaces }: NewSlot,
  older: string | undefined,
): Promise<KeySlot> {
  if (!SLOT_NAME.test(name)) {
    const hint = 'use 1 to 63 small letters, digits and hyphens';
    throw usageError('SLOT_NAME', `a slot can't be called ${JSON.stringify(name)}`, hint);
  }
  const slot = await wrapKey(keys, name, owner, { older, replaces });
  const object = `keys/${name}.json`;
  try {
    await storage.put(object, [plainObject(slot)], { ifAbsent: true });
    await proveSlot(storage, keys, slot, owner);
  } catch (error) {
    if ((error as TidemarkError).code === 'OBJECT_EXISTS') throw error; // that one is somebody else's
    await storage.remove(object).catch(() => {}); // what was added a moment ago opens nothing that is needed
    throw error;
  }
  return slot;
}

async function proveSlot(storage: Storage, keys: EpochKeys, slot: KeySlot, owner: SlotOwner): Promise<void> {
  const object = `keys/${slot.slot}.json`;
  if (!(await storage.get(object)).equals(plainObject(slot))) {
    const hint = 'look at the storage; nothing on it can be relied on';
    throw faultError(
      'STORAGE_WRONG',
      `${storage.place} gives back other bytes of ${object} than were written`,
      hint,
    );
  }
  if (owner.kind === 'age') return; // nobody here has the identity
  const where = 'where' in owner ? owner.where : object;
  const master = await unwrapKey(slot, keys.repositoryId, { ...owner, where });
  if (master?.equals(keys.master)) return;
  throw faultError(
    'KEY_SLOT_USELESS',
    `the new slot ${slot.slot} is not opened by ${where}`,
    'the slot was removed again, nothing else was changed; run the command again',
  );
}

/** Removes a slot; one that isn't there is no error. */
export async function removeSlot({ storage }: Repository, name: string): Promise<void> {
  await storage.remove(`keys/${name}.json`);
}

/** A slot that goes over to the new epoch, and whom its successor is made for. */
export interface Carried {
  slot: KeySlot;
  owner: SlotOwner;
}

export interface BegunEpoch {
  epoch: number;
  slots: { slot: string; replaces: string }[];
}

/**
 * Begins the next epoch with these slots, at least one. The epoch has begun when its object is written; before, a failure
 * leaves slots that count for nothing. Slots that are not carried over stay and read what was stored until now.
 *
 * @throws TidemarkError KEYS_BUSY where somebody else began it; of a slot that can't be removed, what its removal threw.
 */
export async function beginEpoch(
  repository: Repository,
  carried: readonly Carried[],
  now: Date,
): Promise<BegunEpoch> {
  const { storage, keys } = repository;
  const epoch = keys.current.epoch + 1;
  const own = new EpochKeys(randomBytes(32), repository.id, epoch);
  const older = sealOlder(own, keys.ring.masters);
  const slots = await writeCarried(storage, own, older, carried);
  const object = plainObject(newEpochObject(own, older, now));
  // From here on the new slots stay, whatever happens: a put that failed may have been carried out all the same.
  await storage.put(epochName(epoch), [object], { ifAbsent: true }).catch(async error => {
    if ((error as TidemarkError).code === 'OBJECT_EXISTS') throw epochBegun(storage, epoch);
    throw error;
  });
  if (!(await storage.get(epochName(epoch))).equals(object)) throw epochBegun(storage, epoch);
  await removeLeft(repository, own, epoch);
  await removeReplaced(storage, slots, epoch);
  return { epoch, slots };
}

async function writeCarried(
  storage: Storage,
  keys: EpochKeys,
  older: string,
  carried: readonly Carried[],
): Promise<BegunEpoch['slots']> {
  const taken = takenObjects(await readSlots(storage));
  const made: BegunEpoch['slots'] = [];
  try {
    for (const { slot, owner } of carried) {
      const name = freeName(taken, slot.slot);
      taken.add(`keys/${name}.json`);
      made.push({ slot: name, replaces: slot.slot });
      await writeSlot(storage, keys, name, { owner, replaces: slot.slot }, older);
    }
    return made;
  } catch (error) {
    for (const { slot } of made) await storage.remove(`keys/${slot}.json`).catch(() => {});
    throw error;
  }
}

/** Slots that claim to be of the epoch, but are left from a start of it that failed. */
async function removeLeft({ storage, keys }: Repository, own: EpochKeys, epoch: number): Promise<void> {
  for (const { object, slot } of await readSlots(storage)) {
    if (!slot || epochOf(slot) !== epoch || macHolds(own, slot)) continue;
    // A damaged one of an epoch before may say so too.
    if (vouchingEpoch(slot, keys) === undefined) await storage.remove(object);
  }
}

async function removeReplaced(storage: Storage, slots: BegunEpoch['slots'], epoch: number): Promise<void> {
  for (const { replaces } of slots) {
    try {
      await storage.remove(`keys/${replaces}.json`);
    } catch (cause) {
      if (!(cause instanceof TidemarkError)) throw cause;
      throw new TidemarkError(
        cause.code,
        `epoch ${epoch} has begun, but its slot ${replaces} of before could not be removed: ${cause.message}`,
        `${cause.hint}\nit opens only what was stored before; 'tidemark key remove' tries again`,
        { kind: cause.kind, cause },
      );
    }
  }
}

/**
 * Removes slots that others have replaced, where an operation was cut off before it could: those of an epoch before, and
 * those whose successor `opens`. The names of what was removed.
 */
export async function finishReplacing(
  repository: Repository,
  slots: readonly JudgedSlot[],
  opens: (slot: KeySlot) => Promise<boolean>,
): Promise<string[]> {
  const removed: string[] = [];
  for (const { slot, state } of slots) {
    const old = slots.find(each => each.name === slot?.replaces);
    if (!slot || state !== 'current' || slot.mac === undefined || !old || removed.includes(old.name))
      continue;
    const since = old.slot ? epochOf(old.slot) : epochOf(slot);
    if (since > epochOf(slot) || (since === epochOf(slot) && !(await opens(slot)))) continue;
    await removeSlot(repository, old.name);
    removed.push(old.name);
  }
  return removed;
}

function stemOf(owner: SlotOwner): string {
  return owner.kind === 'service' ? owner.service : owner.kind;
}

/**
 * `key`, or else the number after the highest that is taken: `key-2`, `key-3`, … A slot that replaces another thus never
 * gets a name that the one before it had.
 */
function freeName(taken: ReadonlySet<string>, after: string): string {
  const stem = SLOT_NAME.test(after) ? after.replace(/-\d{1,9}$/, '').slice(0, 50) : 'slot';
  let highest = 0;
  for (const object of taken) {
    const [, name, number] = /^keys\/(.*?)(?:-(\d{1,9}))?\.json$/.exec(object) ?? [];
    if (name === stem) highest = Math.max(highest, Number(number ?? 1));
  }
  return highest === 0 ? stem : `${stem}-${highest + 1}`;
}

/** Of slots, and of those that slots have replaced: a new one of that name would be taken for it, and removed. */
function takenObjects(slots: readonly StoredSlot[]): Set<string> {
  return new Set(
    slots.flatMap(({ object, slot }) => [object, slot?.replaces ? `keys/${slot.replaces}.json` : object]),
  );
}

function nameTaken(storage: Storage, name: string): TidemarkError {
  const hint = 'choose another name; tidemark key list shows those that are there';
  const message = `there is a slot ${name} in ${storage.place} already, or another has taken its place`;
  return usageError('SLOT_EXISTS', message, hint);
}

function epochBegun(storage: Storage, epoch: number): TidemarkError {
  return new TidemarkError(
    'KEYS_BUSY',
    `somebody else began epoch ${epoch} in ${storage.place}`,
    "look at it with 'tidemark key list', and run the command again if another one is wanted",
  );
}
