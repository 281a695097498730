import { asTidemarkError, faultError, TidemarkError, usageError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { Storage } from '../../storage/storage.ts';
import { listOwn } from '../format/objectNames.ts';
import { type EpochObject, epochName, newestEpoch, openOlder, parseEpoch } from './epochs.ts';
import { EpochKeys, RepositoryKeys } from './keys.ts';
import type { Secret } from './secrets/secret.ts';
import { epochOf, type KeySlot, macHolds, parseSlot, unwrapKey } from './slots.ts';

/** How often it is looked again where epochs begin while a repository is opened. */
const ATTEMPTS = 3;

/** An object under `keys/`, and what it holds or why it can't be read. */
export interface StoredSlot {
  object: string;
  /** The storage's time. */
  written: Date;
  slot?: KeySlot;
  fault?: TidemarkError;
}

/** All slots of a repository, by name. What isn't one is there with its fault. */
export async function readSlots(storage: Storage): Promise<StoredSlot[]> {
  const found: StoredSlot[] = [];
  const instead = (object: string, fault: TidemarkError) =>
    void found.push({ object, written: new Date(0), fault });
  for await (const { name, modified } of listOwn(storage, 'keys/', instead))
    found.push({ object: name, written: modified });
  await Promise.all(
    found.map(async each => {
      if (each.fault) return;
      const where = `${each.object} in ${storage.place}`;
      try {
        each.slot = parseSlot(await storage.get(each.object), where);
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
        each.fault = error;
      }
    }),
  );
  // One that was removed between being listed and being read is none.
  return found
    .filter(each => each.fault?.code !== 'OBJECT_MISSING')
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** As in its object's name, whatever it holds. */
export function nameOf({ object }: Pick<StoredSlot, 'object'>): string {
  return object.slice('keys/'.length, -'.json'.length);
}

/**
 * All keys that a secret gives, by the slot of the newest epoch that it opens. Where that is not the newest of the
 * repository, or its object is damaged, the keys read and refuse to write.
 *
 * @throws TidemarkError KEY_WRONG where no slot is opened by it, EPOCH_MISSING where only one of an epoch that has no object is,
 *   KEYS_MISSING where there are none; what is wrong with a
 *   slot only where no other is opened.
 */
export async function openKeys(
  storage: Storage,
  repositoryId: string,
  secret: Secret,
): Promise<RepositoryKeys> {
  for (let attempt = 1; ; attempt++) {
    const newest = await newestEpoch(storage);
    try {
      return await openUpTo(newest, storage, repositoryId, secret);
    } catch (error) {
      // Slots of an epoch that began meanwhile were passed over, and those before it may be gone.
      if (attempt === ATTEMPTS || (await newestEpoch(storage)) === newest) throw error;
    }
  }
}

async function openUpTo(
  newest: number,
  storage: Storage,
  repositoryId: string,
  secret: Secret,
): Promise<RepositoryKeys> {
  const stored = await readSlots(storage);
  if (stored.length === 0) throw keysMissing(storage);
  let damage = stored.find(each => each.fault)?.fault;
  let unproven: RepositoryKeys | undefined;
  for (const slot of inOrder(stored, newest, secret)) {
    try {
      const master = await unwrapKey(slot, repositoryId, secret);
      if (!master) continue;
      const opened = await openEpoch(storage, new EpochKeys(master, repositoryId, epochOf(slot)), slot);
      if (opened.proven) return ringOf(opened.masters, repositoryId, retired(storage, secret, slot, newest));
      damage ??= opened.fault;
      unproven ??= opened.masters && ringOf(opened.masters, repositoryId, opened.fault);
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.kind === 'usage') throw error;
      damage ??= error; // another slot may open it
    }
  }
  if (unproven) return unproven;
  throw damage ?? (await epochMissing(storage, repositoryId, secret, stored)) ?? keyWrong(storage, secret);
}

/** Where the secret opens a slot of an epoch that has no object; undefined where it opens none at all. */
async function epochMissing(
  storage: Storage,
  repositoryId: string,
  secret: Secret,
  stored: readonly StoredSlot[],
): Promise<TidemarkError | undefined> {
  for (const { slot } of stored) {
    if (!slot || !(await unwrapKey(slot, repositoryId, secret).catch(() => undefined))) continue;
    const name = epochName(epochOf(slot));
    return faultError(
      'EPOCH_MISSING',
      `the key in ${secret.where} is of an epoch whose object ${name} is not in ${storage.place}`,
      `it is lost, or its start was cut off: 'tidemark repair REPOSITORY' writes ${name} again, where something was stored in that epoch; else use the key of before`,
    );
  }
  return undefined;
}

/** Slots of epochs that have begun, the newest first; of those the ones first that name the secret's own key. */
function inOrder(stored: StoredSlot[], newest: number, secret: Secret): KeySlot[] {
  const likely = (slot: KeySlot) => (secret.kind === 'service' && slot.key === secret.key ? 0 : 1);
  return stored
    .flatMap(each => each.slot ?? [])
    .filter(slot => epochOf(slot) <= newest)
    .sort((a, b) => epochOf(b) - epochOf(a) || likely(a) - likely(b));
}

type OpenedEpoch =
  | { proven: true; masters: Buffer[] }
  | { proven: false; masters: Buffer[] | undefined; fault: TidemarkError };

/** The master keys up to an epoch. Not proven: the slot may be left from a start of the epoch that was never finished. */
async function openEpoch(storage: Storage, keys: EpochKeys, slot: KeySlot): Promise<OpenedEpoch> {
  if (keys.epoch === 0) return { proven: true, masters: [keys.master] };
  const object = await readEpoch(storage, keys.epoch);
  const own = openOlder(keys, slot.older ?? '');
  if (!(object instanceof TidemarkError)) {
    const older = own ?? openOlder(keys, object.older);
    if (older && macHolds(keys, object)) return { proven: true, masters: [...older, keys.master] };
  }
  const fault = object instanceof TidemarkError ? object : epochDamaged(storage, keys.epoch, slot);
  return { proven: false, masters: own && [...own, keys.master], fault };
}

/** An epoch's object, or what is wrong with it. */
async function readEpoch(storage: Storage, epoch: number): Promise<EpochObject | TidemarkError> {
  const name = epochName(epoch);
  const where = `${name} in ${storage.place}`;
  try {
    const object = parseEpoch(await storage.get(name), where);
    return object.epoch === epoch
      ? object
      : faultError('EPOCH_DAMAGED', `${where} is of epoch ${object.epoch}`, HINT);
  } catch (error) {
    const known = asTidemarkError(error);
    if (known.kind === 'fault') return known;
    throw error;
  }
}

const HINT = `until it is mended everything can be read, and nothing written; ${DAMAGE_HINT}`;

function epochDamaged(storage: Storage, epoch: number, { slot }: KeySlot): TidemarkError {
  const what = `${epochName(epoch)} in ${storage.place} is not of the key in slot ${slot}: one of the two is damaged`;
  return faultError('EPOCH_DAMAGED', what, HINT);
}

function ringOf(masters: Buffer[], repositoryId: string, barred: TidemarkError | undefined): RepositoryKeys {
  return new RepositoryKeys(masters, repositoryId, barred);
}

function retired(storage: Storage, secret: Secret, slot: KeySlot, newest: number): TidemarkError | undefined {
  const epoch = epochOf(slot);
  if (epoch === newest) return undefined;
  return usageError(
    'KEY_RETIRED',
    `the key in ${secret.where} was retired: it opens epoch ${epoch} of the repository in ${storage.place}, which is in epoch ${newest}`,
    'it reads what was stored before, and writes nothing; use a key of the newest epoch: tidemark key list',
  );
}

function keysMissing(storage: Storage): TidemarkError {
  return faultError(
    'KEYS_MISSING',
    `${storage.place} holds no keys`,
    'bring its keys/ folder back from a copy of the storage: no other object holds what is in it',
  );
}

function keyWrong(storage: Storage, secret: Secret): TidemarkError {
  return usageError(
    'KEY_WRONG',
    `the key in ${secret.where} does not open the repository in ${storage.place}`,
    "use the key that was made for it: the recovery kit names the repository it belongs to, and 'tidemark key list REPOSITORY' the slots that there are",
  );
}
