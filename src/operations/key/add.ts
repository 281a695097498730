import type { SlotOwner } from '../../repository/keys/slots.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { changingKeys, slotOpenedBy } from './opened.ts';
import { findOwner, type OwnerOptions } from './owner.ts';
import { storeSlot } from './storeSlot.ts';
import { Undo } from './undo.ts';

export interface AddKeyRequest {
  strategy: Strategy;
  repository: string;
  owner: OwnerOptions;
  /** What the slot is to be called; null: after its kind. */
  name: string | null;
}

/** What `tidemark key add --json` prints. */
export interface AddedKey {
  repository: string;
  slot: string;
  kind: string;
  /** False where a slot was there already that this secret opens. */
  added: boolean;
  /** The key file that was made. */
  keyFile: string | null;
}

/** Gives a repository another way to be opened. */
export async function addKey({
  strategy,
  repository: name,
  owner: options,
  name: slotName,
}: AddKeyRequest): Promise<AddedKey> {
  const undo = new Undo();
  try {
    return await changingKeys(strategy, name, async ({ spec, repository, slots }) => {
      const { owner, made } = await findOwner(options, strategy, spec, undo);
      const there =
        made === null && owner.kind !== 'age' ? await slotOpenedBy(slots, repository, owner) : undefined;
      const slot = there ?? (await storeSlot(repository, { owner, name: slotName ?? undefined }, undo));
      return { repository: name, slot: slot.slot, kind: kindOf(owner), added: !there, keyFile: made };
    });
  } catch (error) {
    await undo.run();
    throw error;
  }
}

export function kindOf(owner: SlotOwner): string {
  return owner.kind === 'service' ? owner.service : owner.kind;
}
