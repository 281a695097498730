import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import type { TidemarkError } from '../../../src/base/errors.ts';
import { type AddedKey, addKey } from '../../../src/operations/key/add.ts';
import { type NewEpoch, rotateEpoch } from '../../../src/operations/key/epoch.ts';
import { listKeys } from '../../../src/operations/key/list.ts';
import { removeKey } from '../../../src/operations/key/remove.ts';
import { rotateKey } from '../../../src/operations/key/rotate.ts';
import type { Operation } from './operation.ts';
import type { SweepSite } from './site.ts';

const SECOND = 'second.key';
const request = async (site: SweepSite) => ({ strategy: await site.strategy(), repository: 'main' });

async function add(site: SweepSite): Promise<AddedKey> {
  return addKey({ ...(await request(site)), owner: { keyFile: site.path(SECOND) }, name: 'second' });
}

async function withSecond(make: () => Promise<SweepSite>): Promise<SweepSite> {
  const site = await make();
  await add(site);
  return site;
}

/** tests/faults/keys.test.ts kills these at each call; here they meet the other faults. */
export function keyChanges(make: () => Promise<SweepSite>): Operation<never>[] {
  const rotate: Operation = {
    name: 'key-rotate',
    faulty: 'main',
    async prepare() {
      const site = await make();
      await copyFile(site.path('main.key'), site.path('old.key'));
      return site;
    },
    run: async site => rotateKey({ ...(await request(site)), slot: null, owner: {} }),
    async holds(site) {
      await assert.rejects(site.open('main', 'old.key'), { code: 'KEY_WRONG' });
      const { slots } = await listKeys(await site.strategy(), 'main');
      assert.equal(slots.length, 1, 'a slot that no key opens was left');
    },
  };
  const epoch: Operation<NewEpoch> = {
    name: 'key-epoch',
    faulty: 'main',
    prepare: make,
    run: async site =>
      rotateEpoch({ ...(await request(site)), with: [], retire: [], confirm: async () => true }),
    async holds(site, { epoch }) {
      assert.equal((await site.open()).keys.newest, epoch);
    },
  };
  const adding: Operation = {
    name: 'key-add',
    faulty: 'main',
    prepare: make,
    run: add,
    async holds(site) {
      await site.open('main', SECOND);
    },
  };
  const removing: Operation = {
    name: 'key-remove',
    faulty: 'main',
    prepare: () => withSecond(make),
    run: async (site, again) =>
      removeKey({ ...(await request(site)), slot: 'second', confirm: async () => true }).catch(error => {
        if (!again || (error as TidemarkError).code !== 'SLOT_UNKNOWN') throw error;
      }),
    async holds(site) {
      await assert.rejects(site.open('main', SECOND), { code: 'KEY_WRONG' });
    },
  };
  return [rotate, epoch, adding, removing] as Operation<never>[];
}
