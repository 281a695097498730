/**
 * Changes of keys, cut off at every storage call in turn: killed there, failed there, or answered with a failure though
 * the call was carried out. Whatever happens, the repository opens with what the key file holds, everything that was stored
 * can be read, and the same command ends well when it is run again.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, mock, test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { TidemarkError } from '../../src/base/errors.ts';
import { addKey } from '../../src/operations/key/add.ts';
import { rotateEpoch } from '../../src/operations/key/epoch.ts';
import { removeKey } from '../../src/operations/key/remove.ts';
import { rotateKey } from '../../src/operations/key/rotate.ts';
import type { Secret } from '../../src/repository/keys/slots.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import { localKind } from '../../src/storage/local/storage.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type Call, WrappedStorage } from '../../src/storage/wrap/wrapped.ts';
import { KeySite } from '../support/keySite.ts';
import { readBack, smallBackup } from '../support/smallBackup.ts';

const FAULTS = ['killed', 'failed', 'lost answer'] as const;
type Fault = (typeof FAULTS)[number];

/** What is to happen at which call of all storages that are opened; 0: nothing. */
let plan: { at: number; fault: Fault } = { at: 0, fault: 'failed' };
let calls = 0;
let reached: () => void = () => {};

class FaultyStorage extends WrappedStorage {
  protected async around<T>(call: Call, run: () => Promise<T>): Promise<T> {
    calls++;
    if (plan.at > 0 && plan.fault === 'killed' && calls >= plan.at) {
      reached();
      return new Promise<T>(() => {}); // nothing that would come after it happens
    }
    if (calls !== plan.at) return run();
    reached();
    if (plan.fault === 'lost answer') await run();
    throw new TidemarkError('TEST_FAULT', `${call.method} ${call.name}: ${plan.fault}`, 'a test');
  }

  protected override async *aroundList(call: Call, run: () => ReturnType<Storage['list']>) {
    await this.around(call, async () => {});
    yield* run();
  }
}

let identity: Secret & { kind: 'age' };
let recipient: string;

before(async () => {
  const text = await generateX25519Identity();
  identity = { kind: 'age', text, where: 'the test' };
  recipient = await identityToRecipient(text);
  const open = localKind.open;
  mock.method(
    localKind,
    'open',
    async (spec: Parameters<typeof open>[0]) => new FaultyStorage(await open(spec)),
  );
});

after(() => mock.restoreAll());

interface Change {
  name: string;
  /** What is there before it. */
  prepare?(site: KeySite): Promise<unknown>;
  run(site: KeySite): Promise<unknown>;
  /** After it, run once more where it was cut off. */
  judge(site: KeySite, originalKey: Secret): Promise<void>;
}

const request = async (site: KeySite) => ({ strategy: await site.strategy(), repository: 'main' });
const addAge = async (site: KeySite) =>
  addKey({ ...(await request(site)), owner: { age: [recipient] }, name: null });

/** The slots there are, each of which is one that is meant to be there. */
async function onlySlots(site: KeySite, ...expected: RegExp[]): Promise<void> {
  const names = await site.objects('keys');
  assert.equal(names.length, expected.length, names.join());
  for (const each of expected)
    assert.ok(
      names.some(name => each.test(name)),
      `${each} of ${names}`,
    );
}

const CHANGES: Change[] = [
  {
    name: 'key add, of a file that it makes',
    run: async site =>
      addKey({ ...(await request(site)), owner: { keyFile: site.path('second.key') }, name: null }),
    async judge(site) {
      await site.open(await site.keyFile('second.key'));
    },
  },
  {
    name: 'key remove',
    prepare: addAge,
    async run(site) {
      const asked = { ...(await request(site)), slot: 'age', confirm: async () => true };
      await removeKey(asked).catch(error => {
        // Run again after it was carried out.
        if ((error as TidemarkError).code !== 'SLOT_UNKNOWN') throw error;
      });
    },
    async judge(site) {
      await onlySlots(site, /^first/);
      await assert.rejects(site.open(identity), { code: 'KEY_WRONG' });
    },
  },
  {
    name: 'key rotate, of a key file',
    prepare: addAge,
    run: async site => rotateKey({ ...(await request(site)), slot: null, owner: {} }),
    async judge(site, originalKey) {
      assert.ok(!existsSync(site.path('main.key.new')), 'the new key is in its place');
      await onlySlots(site, /^first/, /^age/);
      await assert.rejects(site.open(originalKey), { code: 'KEY_WRONG' });
    },
  },
  {
    name: 'key rotate --slot, of recipients',
    prepare: addAge,
    run: async site => rotateKey({ ...(await request(site)), slot: await ageSlot(site), owner: {} }),
    async judge(site) {
      await site.open(identity);
    },
  },
  {
    name: 'key rotate --epoch',
    prepare: addAge,
    run: async site =>
      rotateEpoch({ ...(await request(site)), with: [], retire: [], confirm: async () => true }),
    async judge(site) {
      const repository = await site.open();
      assert.ok(repository.keys.newest >= 1);
      await onlySlots(site, /^first/, /^age/);
      assert.equal((await site.open(identity)).keys.newest, repository.keys.newest);
    },
  },
];

/** The newest slot of the recipient: a rotation that was cut off may have made another. */
async function ageSlot(site: KeySite): Promise<string> {
  const names = (await site.objects('keys')).filter(name => name.startsWith('age'));
  return names.sort().at(0)!.replace('.json', '');
}

/** What every run of a change begins with. */
interface Start {
  site: KeySite;
  manifest: Manifest;
}

async function prepared(change: Change): Promise<Start> {
  plan = { at: 0, fault: 'failed' };
  const site = await KeySite.make();
  const manifest = await smallBackup(await site.open(), { a: 'a' });
  await change.prepare?.(site);
  await site.leasesEnd();
  return { site, manifest };
}

/** Cuts the change off at a call; false if it has no so many. */
async function cutOff(
  change: Change,
  { site: start, manifest }: Start,
  at: number,
  fault: Fault,
): Promise<boolean> {
  const site = await start.copy();
  try {
    calls = 0;
    plan = { at, fault };
    const met = new Promise<'met'>(resolve => {
      reached = () => resolve('met');
    });
    const ended = change.run(site).then(
      () => 'done' as const,
      () => 'failed' as const,
    );
    // Who was killed ends no more; who met a failure goes on to its end.
    const outcome = await (fault === 'killed' ? Promise.race([met, ended]) : ended);
    const happened = calls >= at;
    plan = { at: 0, fault };
    const what = `${change.name}, ${fault} at call ${at}`;
    await stillOpens(site, manifest, what);
    if (outcome !== 'done' || fault !== 'failed') {
      await site.leasesEnd();
      await change.run(site).catch(error => assert.fail(`${what}: run again: ${(error as Error).stack}`));
    }
    await change
      .judge(site, await start.keyFile())
      .catch(error => assert.fail(`${what}: ${(error as Error).stack}`));
    await stillOpens(site, manifest, `${what}, run again`);
    return happened;
  } finally {
    await site.remove();
  }
}

async function stillOpens(site: KeySite, manifest: Manifest, what: string): Promise<void> {
  try {
    const repository = await site.open();
    const again = await repository.manifest(manifest.snapshot);
    assert.deepEqual(await readBack(repository, again), { a: 'a' });
    const next = await smallBackup(repository, { a: 'b' });
    assert.deepEqual(await readBack(await site.open(), next), { a: 'b' });
  } catch (error) {
    const keys = await Promise.all(
      (await site.objects('keys')).map(
        async name => `${name} ${await readFile(site.path(`repository/keys/${name}`))}`,
      ),
    );
    assert.fail(`${what}: ${(error as Error).stack}\n${keys.join('\n')}`);
  }
}

for (const change of CHANGES) {
  test(`${change.name}: cut off at every storage call`, async t => {
    const positions: Record<Fault, number> = { killed: 0, failed: 0, 'lost answer': 0 };
    const start = await prepared(change);
    t.after(() => start.site.remove());
    for (const fault of FAULTS)
      while (await cutOff(change, start, positions[fault] + 1, fault)) positions[fault]++;
    assert.ok(positions.failed > 10 && positions.killed > 10);
    t.diagnostic(JSON.stringify(positions));
    console.log(`${change.name}: ${JSON.stringify(positions)}`);
  });
}
