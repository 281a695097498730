import { asTidemarkError } from '../../base/errors.ts';
import { type JudgedSlot, judgeSlots, type SlotState } from '../../repository/keys/changeSlots.ts';
import { newestEpoch } from '../../repository/keys/epochs.ts';
import type { KeySlot, Secret } from '../../repository/keys/slots.ts';
import { Repository, readHeader } from '../../repository/repository.ts';
import { openStorage } from '../../storage/index.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { readSecret, repositoryOf, storagePlace } from '../open/open.ts';
import { slotOpenedBy } from './opened.ts';

/** What `tidemark key list --json` prints. */
export interface ListedKeys {
  repository: string;
  id: string;
  storage: string;
  /** The newest epoch. */
  epoch: number;
  /** The slot that the strategy opens it with; null where it opens none of the newest epoch. */
  opensWith: string | null;
  /** Why the strategy can't open it, or not to write; slots were not checked then. */
  trouble: { code: string; message: string; hint: string } | null;
  slots: ListedSlot[];
}

export interface ListedSlot {
  slot: string;
  kind: KeySlot['kind'] | null;
  epoch: number | null;
  state: SlotState;
  /** When it was written, by the storage's clock. */
  created: string;
  /** Recipients, or the service's name of its key; nothing for keys and passphrases. */
  for: string;
  replaces: string | null;
}

/** What opens a repository. Slots are no secret, so this works without the key too; with it, they are checked. */
export async function listKeys(strategy: Strategy, name: string): Promise<ListedKeys> {
  const spec = repositoryOf(strategy, name);
  const storage = await openStorage(storagePlace(spec));
  try {
    const { id } = await readHeader(storage);
    const epoch = await newestEpoch(storage);
    const { repository, secret, trouble } = await tryOpen(storage, () =>
      readSecret(spec.key, strategy.environment),
    );
    const slots = await judgeSlots(storage, repository?.keys, epoch);
    const current = repository && secret ? await slotOpenedBy(slots, repository, secret) : undefined;
    return {
      repository: name,
      id,
      storage: storage.place,
      epoch,
      opensWith: current?.slot ?? null,
      trouble,
      slots: slots.map(listed),
    };
  } finally {
    await storage.close();
  }
}

async function tryOpen(
  storage: Storage,
  read: () => Promise<Secret>,
): Promise<{ repository?: Repository; secret?: Secret; trouble: ListedKeys['trouble'] }> {
  let opened: { repository: Repository; secret: Secret } | undefined;
  try {
    const secret = await read();
    opened = { repository: await Repository.open(storage, secret), secret };
    void opened.repository.keys.current; // retired keys open it, and are worth a word
    return { ...opened, trouble: null };
  } catch (error) {
    return { ...opened, trouble: asTidemarkError(error).toJSON() };
  }
}

export function listed({ name, state, written, slot }: JudgedSlot): ListedSlot {
  return {
    slot: name,
    kind: slot?.kind ?? null,
    epoch: slot ? (slot.epoch ?? 0) : null,
    state,
    created: written.toISOString(),
    for: slot?.recipients?.join(', ') ?? slot?.key ?? '',
    replaces: slot?.replaces ?? null,
  };
}
