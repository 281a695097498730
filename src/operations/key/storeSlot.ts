import { addSlot, judgeSlots, type NewSlot } from '../../repository/keys/changeSlots.ts';
import type { KeySlot, Secret } from '../../repository/keys/slots.ts';
import type { Repository } from '../../repository/repository.ts';
import { slotOpenedBy } from './opened.ts';
import type { Undo } from './undo.ts';

/**
 * Adds a slot, whose key file `undo` may have been told to take back. Where the slot is stored, or may be, although this
 * fails, the file stays: without its key the slot would be nobody's; with it the command goes on when it is run again.
 */
export async function storeSlot(repository: Repository, wanted: NewSlot, undo: Undo): Promise<KeySlot> {
  try {
    const slot = await addSlot(repository, wanted);
    undo.forget();
    return slot;
  } catch (error) {
    if (wanted.owner.kind === 'key' && (await mayBeStored(repository, wanted.owner))) undo.forget();
    throw error;
  }
}

/** Whether there is a slot that this opens; true also where the storage does not say. */
async function mayBeStored(repository: Repository, secret: Secret): Promise<boolean> {
  const { storage, keys } = repository;
  try {
    const slots = await judgeSlots(storage, keys, keys.newest);
    return (await slotOpenedBy(slots, repository, secret)) !== undefined;
  } catch {
    return true;
  }
}
