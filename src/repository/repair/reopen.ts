/**
 * Opens a repository whose `repository.json` or epochs are damaged, where that can be done and proved: the key opens a slot
 * only together with the repository's true id, so a guess of the id is right if it opens one. docs/recovery.md, "Repair".
 */
import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import { HEADER, type Header } from '../format/header.ts';
import { listOwn } from '../format/objectNames.ts';
import { objectEpoch } from '../format/seal.ts';
import { checkKeys } from '../keys/checkKeys.ts';
import { epochName, newEpochObject, openOlder, sealOlder } from '../keys/epochs.ts';
import { EpochKeys, RepositoryKeys } from '../keys/keys.ts';
import { openKeys, readSlots } from '../keys/openKeys.ts';
import {
  epochOf,
  type KeySlot,
  macHolds,
  parseSlot,
  plainObject,
  type Secret,
  unwrapKey,
} from '../keys/slots.ts';
import { Repository, readHeader } from '../repository.ts';
import { isLoss } from '../rewrite/rewrite.ts';

/** What keeps a repository from being opened though its key is right, or from being found. */
const OPENING_FAULTS = new Set([
  ...['HEADER_DAMAGED', 'OBJECT_DAMAGED', 'OBJECT_FOREIGN', 'OBJECT_TOO_LARGE', 'REPOSITORY_MISSING'],
  'KEY_WRONG',
]);
/** Wherever it may begin: a digit before it may have been a quotation mark. */
const ID = /(?=([0-9a-f]{32}))/g;
const HEX = '0123456789abcdef';
/** The largest slot in which every bit is tried: some seconds' work; one for twenty recipients has 5 kB. */
const SLOT_BYTES_MAX = 8192;
/** Folders in which there may be an object of an epoch. */
const SEALED = ['snapshots/', 'forgotten/', 'checks/', 'revisions/', 'holds/', 'condemned/', 'unfinished/'];

/** An object that is not encrypted, and what it has to be. */
export interface KeyRepair {
  object: string;
  fault: Pick<TidemarkError, 'code' | 'message'>;
  /** Null where nobody can say. */
  bytes: Buffer | null;
}

export interface Reopened {
  /** To be written with only once the repairs are done. */
  repository: Repository;
  repairs: KeyRepair[];
}

/**
 * @param ids what the repository's id may be, asked for only where that is not known: as the recovery kit has it, and copies
 *   in other repositories.
 * @throws TidemarkError what opening it throws, where no id opens it.
 */
export async function reopen(
  storage: Storage,
  secret: Secret,
  ids: () => Promise<readonly string[]>,
): Promise<Reopened> {
  try {
    const repository = await Repository.open(storage, secret);
    return await withEpochs(repository);
  } catch (error) {
    const fault = asTidemarkError(error);
    if (fault.code === 'EPOCH_MISSING') return await withoutEpoch(storage, secret, fault);
    if (!OPENING_FAULTS.has(fault.code)) throw error;
    const text = await textOf(storage);
    const found = await openByGuess(storage, secret, guesses(text, await ids()));
    if (!found) throw error;
    const header: Header = {
      tidemark: 'repository',
      format: 1,
      id: found.repositoryId,
      created: await createdOf(storage, text),
    };
    const reopened = await withEpochs(new Repository(storage, found));
    const repair = { object: HEADER, fault, bytes: plainObject(header) };
    return { ...reopened, repairs: [repair, ...reopened.repairs.filter(each => each.object !== HEADER)] };
  }
}

/** By a slot of an epoch whose object is gone, where what is stored proves that the epoch had begun. */
async function withoutEpoch(storage: Storage, secret: Secret, fault: TidemarkError): Promise<Reopened> {
  const { id } = await readHeader(storage);
  for (const { slot } of await readSlots(storage)) {
    const master = slot && (await unwrapKey(slot, id, secret).catch(() => undefined));
    if (!slot?.older || !master) continue;
    const own = new EpochKeys(master, id, epochOf(slot));
    const older = openOlder(own, slot.older);
    if (!older) continue;
    const repository = new Repository(storage, new RepositoryKeys([...older, master], id));
    if (!(await hasSealed(repository, own.epoch))) continue;
    const bytes = plainObject(newEpochObject(own, slot.older, await storage.now()));
    const reopened = await withEpochs(repository);
    return { ...reopened, repairs: [...reopened.repairs, { object: epochName(own.epoch), fault, bytes }] };
  }
  throw fault;
}

function unlessLoss(error: unknown): undefined {
  if (!isLoss(error)) throw error;
}

/** Empty where there is none. */
async function textOf(storage: Storage): Promise<string> {
  try {
    return (await storage.get(HEADER)).toString('latin1');
  } catch (error) {
    if (isLoss(error)) return '';
    throw error;
  }
}

/** The likely ones first; then those in which one digit of what is there is another. */
function* guesses(text: string, ids: readonly string[]): Iterable<{ id: string; likely: boolean }> {
  const found = Array.from(text.toLowerCase().matchAll(ID), match => match[1]!);
  for (const id of new Set([...ids, ...found])) yield { id, likely: true };
  const written = /"id"\s*:\s*"([\s\S]{32})"/.exec(text)?.[1] ?? '';
  for (let at = 0; at < written.length; at++)
    for (const digit of HEX)
      yield { id: written.slice(0, at) + digit + written.slice(at + 1), likely: false };
}

async function openByGuess(
  storage: Storage,
  secret: Secret,
  all: Iterable<{ id: string; likely: boolean }>,
): Promise<RepositoryKeys | undefined> {
  const slots = (await readSlots(storage)).flatMap(each => each.slot ?? []);
  for (const { id, likely } of all) {
    if (!/^[0-9a-f]{32}$/.test(id)) continue;
    // A key is tried in no time; a passphrase takes a second, and a service would be asked hundreds of times.
    if (!likely && secret.kind !== 'key') return undefined;
    const opens = await Promise.all(slots.map(slot => unwrapKey(slot, id, secret).catch(() => undefined)));
    if (opens.some(each => each !== undefined)) return openKeys(storage, id, secret);
  }
  return undefined;
}

/** As it was written, where that can be read still; else when its first key was stored, which is the same moment. */
async function createdOf(storage: Storage, text: string): Promise<string> {
  const written = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/.exec(text)?.[0];
  if (written && !Number.isNaN(Date.parse(written)) && new Date(written).toISOString() === written)
    return written;
  const times = (await readSlots(storage)).flatMap(each => (each.slot ? each.written.getTime() : []));
  return new Date(Math.min(...times)).toISOString();
}

/** What is wrong with objects under `keys/` and `epochs/`, and the header's form, once it is known which keys are right. */
async function withEpochs(opened: Repository): Promise<Reopened> {
  const { keys } = opened;
  const repository = await unbarred(opened);
  const repairs: KeyRepair[] = [];
  for (const { object, error } of (await checkKeys(repository)).faults) {
    const { code, message } = error;
    repairs.push({ object, fault: { code, message }, bytes: await bytesFor(repository, object) });
  }
  const stuck = repairs.some(({ object, bytes }) => object === epochName(keys.newest) && bytes === null);
  return { repository: stuck ? opened : repository, repairs };
}

async function bytesFor(repository: Repository, object: string): Promise<Buffer | null> {
  const { storage, keys } = repository;
  if (object === HEADER) {
    const text = await textOf(storage);
    const created = await createdOf(storage, text);
    return plainObject({ tidemark: 'repository', format: 1, id: keys.repositoryId, created });
  }
  if (object.startsWith('keys/')) return slotFor(repository, object);
  const epoch = Number(/^epochs\/(\d+)\.json$/.exec(object)?.[1] ?? 0);
  if (epoch === 0 || epoch > keys.newest) return null;
  if (epoch === keys.newest && !(await isProven(repository, epoch))) return null;
  const older = sealOlder(keys.at(epoch), keys.ring.masters.slice(0, epoch));
  const there = await storage.stat(object).catch(unlessLoss);
  const written = there?.modified ?? (await storage.now());
  return plainObject(newEpochObject(keys.at(epoch), older, written));
}

/** What was written, where only its form or one bit is wrong: its mac proves it. */
async function slotFor({ storage, keys }: Repository, object: string): Promise<Buffer | null> {
  try {
    for (const bytes of withinOneBit(await storage.get(object))) {
      const slot = slotOf(bytes, object);
      if (!slot || epochOf(slot) > keys.newest) continue;
      if (macHolds(keys.at(epochOf(slot)), slot)) return plainObject(slot);
    }
    return null;
  } catch (error) {
    if (isLoss(error)) return null;
    throw error;
  }
}

function slotOf(bytes: Buffer, object: string): KeySlot | undefined {
  try {
    const slot = parseSlot(bytes, object);
    return `keys/${slot.slot}.json` === object ? slot : undefined;
  } catch {
    return undefined;
  }
}

/** The bytes, then every one of which they are a flipped bit away; only the bytes where they are many. */
function* withinOneBit(bytes: Buffer): Iterable<Buffer> {
  yield bytes;
  if (bytes.length > SLOT_BYTES_MAX) return;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const other = Buffer.from(bytes);
    other[bit >> 3]! ^= 1 << (bit & 7);
    yield other;
  }
}

/** Keys that refuse to write for want of the newest epoch's object alone; others as they are. */
async function unbarred(repository: Repository): Promise<Repository> {
  try {
    void repository.keys.current;
    return repository;
  } catch (error) {
    if (asTidemarkError(error).kind !== 'fault') throw error; // it was retired, which is no damage
    const { masters, repositoryId } = repository.keys.ring;
    const free = new Repository(repository.storage, new RepositoryKeys(masters, repositoryId));
    free.policy = repository.policy;
    return free;
  }
}

/**
 * Whether these keys are those of the epoch, and not of a start of it that was never finished: they open something that was
 * sealed in it, or, where nothing was, every slot of it was made with them.
 */
async function isProven(repository: Repository, epoch: number): Promise<boolean> {
  if (await hasSealed(repository, epoch)) return true;
  const { storage, keys } = repository;
  const slots = (await readSlots(storage)).flatMap(each => each.slot ?? []);
  const own = slots.filter(slot => epochOf(slot) === epoch);
  return own.length > 0 && own.every(slot => macHolds(keys.at(epoch), slot));
}

/** Whether something was sealed in the epoch that its keys open. */
async function hasSealed({ storage, keys }: Repository, epoch: number): Promise<boolean> {
  for (const folder of SEALED) {
    for await (const { name, sizeBytes } of listOwn(storage, folder)) {
      if (sizeBytes === 0) continue;
      try {
        const sealed = await storage.get(name);
        if (objectEpoch(sealed, name) !== epoch) continue;
        keys.open(name.replace(/^forgotten\//, 'snapshots/'), sealed, name);
        return true;
      } catch (error) {
        if (!isLoss(error)) throw error;
      }
    }
  }
  return false;
}

/** Writes what was found in place of what is damaged. The header comes last: with it everything can be opened. */
export async function writeRepairs(storage: Storage, repairs: readonly KeyRepair[]): Promise<void> {
  const order = [...repairs].sort((a, b) => Number(a.object === HEADER) - Number(b.object === HEADER));
  for (const { object, bytes } of order) if (bytes) await storage.put(object, [bytes]);
  await readHeader(storage);
}
