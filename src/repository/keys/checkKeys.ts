import { asTidemarkError, faultError, type TidemarkError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import { HEADER, type Header } from '../format/header.ts';
import { listNames } from '../format/objectNames.ts';
import type { Repository } from '../repository.ts';
import { epochName, openOlder, parseEpoch } from './epochs.ts';
import type { RepositoryKeys } from './keys.ts';
import { macHolds, mayBeWhole, parseObject, parseSlot, plainObject } from './slots.ts';

export interface KeyFindings {
  objects: number;
  bytesRead: number;
  faults: { object: string; error: Pick<TidemarkError, 'code' | 'message' | 'hint'> }[];
}

/**
 * Checks what opens a repository, as far as it can be without the secrets of all slots: each must be, byte for byte, what
 * a writer would write with its values, and its mac must be right where its epoch is open. The repository's id is right, or
 * it could not have been opened.
 */
export async function checkKeys({ storage, keys }: Repository): Promise<KeyFindings> {
  const findings: KeyFindings = { objects: 0, bytesRead: 0, faults: [] };
  const names = [HEADER, ...(await listNames(storage, 'keys/')), ...(await listNames(storage, 'epochs/'))];
  for (const object of names) {
    findings.objects++;
    try {
      const bytes = await storage.get(object);
      findings.bytesRead += bytes.length;
      checkKeyObject(object, bytes, keys);
    } catch (error) {
      findings.faults.push({ object, error: asTidemarkError(error) });
    }
  }
  return findings;
}

/** Throws the fault of an object that opens a repository; `keys` are those of the epochs that are open. */
export function checkKeyObject(object: string, bytes: Buffer, keys: RepositoryKeys): void {
  if (!plainObject(rewritten(object, bytes, keys)).equals(bytes)) {
    throw faultError('OBJECT_DAMAGED', `${object} is not as tidemark writes it`, DAMAGE_HINT);
  }
}

function rewritten(object: string, bytes: Buffer, keys: RepositoryKeys): object {
  if (object === HEADER) return checkHeader(bytes);
  return object.startsWith('keys/') ? checkSlot(object, bytes, keys) : checkEpoch(object, bytes, keys);
}

function checkHeader(bytes: Buffer): object {
  const header = parseObject(bytes, HEADER) as unknown as Header;
  const created = Date.parse(header.created);
  if (Number.isNaN(created) || new Date(created).toISOString() !== header.created) {
    throw faultError('HEADER_DAMAGED', `${HEADER} gives no time of its creation`, DAMAGE_HINT);
  }
  const { tidemark, format, id } = header;
  return { tidemark, format, id, created: header.created };
}

function checkSlot(object: string, bytes: Buffer, keys: RepositoryKeys): object {
  const slot = parseSlot(bytes, object);
  if (`keys/${slot.slot}.json` !== object)
    throw faultError('KEY_SLOT_DAMAGED', `${object} holds the slot ${slot.slot}`, DAMAGE_HINT);
  if (!mayBeWhole(slot, keys)) {
    const hint = `${DAMAGE_HINT}; where nobody can, 'tidemark key remove' it and add another`;
    throw faultError('KEY_SLOT_DAMAGED', `${object} is not as it was written: no mac proves it`, hint);
  }
  return slot;
}

function checkEpoch(object: string, bytes: Buffer, keys: RepositoryKeys): object {
  const epoch = parseEpoch(bytes, object);
  if (epochName(epoch.epoch) !== object)
    throw faultError('EPOCH_DAMAGED', `${object} holds epoch ${epoch.epoch}`, DAMAGE_HINT);
  if (epoch.epoch > keys.newest) return epoch;
  const own = keys.at(epoch.epoch);
  if (macHolds(own, epoch) && openOlder(own, epoch.older)) return epoch;
  throw faultError('EPOCH_DAMAGED', `${object} is not as it was written: its mac is wrong`, DAMAGE_HINT);
}
