import { asTidemarkError, faultError, type TidemarkError } from '../base/errors.ts';
import { HEADER, type Header, type Repository } from './repository.ts';
import { parseObject, parseSlot, plainObject } from './slots.ts';

const HINT = 'restore the object from another copy';

export interface KeyFindings {
  objects: number;
  bytesRead: number;
  faults: { object: string; error: Pick<TidemarkError, 'code' | 'message' | 'hint'> }[];
}

/**
 * Checks what opens a repository, as far as it can be without the secrets of all slots: each must be, byte for byte, what
 * a writer would write with its values. The repository's id is right, or it could not have been opened.
 */
export async function checkKeys({ storage }: Repository): Promise<KeyFindings> {
  const findings: KeyFindings = { objects: 0, bytesRead: 0, faults: [] };
  const names = [HEADER];
  for await (const { name } of storage.list('keys/')) if (name.endsWith('.json')) names.push(name);
  for (const object of names) {
    findings.objects++;
    try {
      const bytes = await storage.get(object);
      findings.bytesRead += bytes.length;
      checkObject(object, bytes);
    } catch (error) {
      findings.faults.push({ object, error: asTidemarkError(error) });
    }
  }
  return findings;
}

function checkObject(object: string, bytes: Buffer): void {
  const value = object === HEADER ? checkHeader(bytes) : checkSlot(object, bytes);
  if (!plainObject(value).equals(bytes)) {
    throw faultError('OBJECT_DAMAGED', `${object} is not as tidemark writes it`, HINT);
  }
}

function checkHeader(bytes: Buffer): object {
  const header = parseObject(bytes, HEADER) as unknown as Header;
  const created = Date.parse(header.created);
  if (Number.isNaN(created) || new Date(created).toISOString() !== header.created) {
    throw faultError('HEADER_DAMAGED', `${HEADER} gives no time of its creation`, HINT);
  }
  const { tidemark, format, id } = header;
  return { tidemark, format, id, created: header.created };
}

function checkSlot(object: string, bytes: Buffer): object {
  const slot = parseSlot(bytes, object);
  if (`keys/${slot.slot}.json` === object) return slot;
  throw faultError('KEY_SLOT_DAMAGED', `${object} holds the slot ${slot.slot}`, HINT);
}
