import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalStorage } from '../../storage/local/storage.ts';
import { Repository } from '../repository.ts';
import { newFolder } from '../testing/sample.ts';
import { addSlot, finishReplacing, judgeSlots, removeSlot } from './changeSlots.ts';
import { newKeyText } from './keyText.ts';
import { epochOf, type KeySlot, unwrapKey } from './slots.ts';

const keyOf = (where: string) => ({ kind: 'key', text: newKeyText(), where }) as const;

test('a slot that was replaced leaves its name to nobody: a new one would be taken for it, and removed', async () => {
  const repository = await Repository.create(new LocalStorage(newFolder()), keyOf('the first'), new Date());
  const own = keyOf('the second');
  const old = await addSlot(repository, { owner: keyOf('the old one') });
  const made = await addSlot(repository, { owner: own, replaces: old.slot });
  await removeSlot(repository, old.slot);

  const added = await addSlot(repository, { owner: keyOf('the third') });
  assert.equal(new Set([old.slot, made.slot, added.slot]).size, 3, 'three slots, three names');
  await assert.rejects(addSlot(repository, { owner: keyOf('the fourth'), name: old.slot }), {
    code: 'SLOT_EXISTS',
  });
  const slots = await judgeSlots(repository.storage, repository.keys, 0);
  const opens = async (slot: KeySlot) =>
    epochOf(slot) === 0 && (await unwrapKey(slot, repository.id, own)) !== undefined;
  assert.deepEqual(await finishReplacing(repository, slots, opens), []);

  // Once the successor is gone, nothing speaks of the name any more.
  await removeSlot(repository, made.slot);
  assert.equal((await addSlot(repository, { owner: keyOf('the fourth'), name: old.slot })).slot, old.slot);
});
