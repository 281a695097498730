import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { addKey } from '../../../src/operations/key/add.ts';
import { rotateEpoch } from '../../../src/operations/key/epoch.ts';
import { slotOpenedBy } from '../../../src/operations/key/opened.ts';
import { removeKey } from '../../../src/operations/key/remove.ts';
import { rotateKey } from '../../../src/operations/key/rotate.ts';
import { judgeSlots } from '../../../src/repository/keys/changeSlots.ts';
import { newestEpoch } from '../../../src/repository/keys/epochs.ts';
import { newKeyText } from '../../../src/repository/keys/keyText.ts';
import type { Secret } from '../../../src/repository/keys/slots.ts';
import { Repository } from '../../../src/repository/repository.ts';
import { localKind } from '../../../src/storage/local/storage.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import type { RepositorySpec, Strategy } from '../../../src/strategy/spec.ts';

export const KEY_CHANGES = ['add', 'remove', 'rotate', 'epoch'] as const;
export type KeyChange = (typeof KEY_CHANGES)[number];

const REPOSITORY = 'main';

interface Known {
  text: string;
  /** `sure`: it must open the repository. `gone`: it must not. In between it is being changed, or whoever did was killed. */
  state: 'sure' | 'maybe' | 'gone';
}

/** All secrets that were ever made, and what was said of them; and the commands that change them. */
export class Secrets {
  readonly #known: Known[];
  #opened = 0;

  /** @param text what the repository is made with, which stays. */
  constructor(text: string) {
    this.#known = [{ text, state: 'sure' }];
  }

  get owner(): Extract<Secret, { kind: 'key' }> {
    return this.of(0);
  }

  of(index: number): Extract<Secret, { kind: 'key' }> {
    return { kind: 'key', text: this.#known[index]!.text, where: `secret ${index}` };
  }

  /** Those that must open the repository now. */
  sure(): number[] {
    return this.#all(({ state }) => state === 'sure');
  }

  #all(which: (known: Known) => boolean): number[] {
    return this.#known.flatMap((known, i) => (which(known) ? [i] : []));
  }

  /** Runs one of the commands, of a machine whose strategy opens the repository with a secret of its own. */
  async change(kind: KeyChange, storage: Storage, pick: (of: number[]) => number): Promise<void> {
    const others = this.sure().filter(index => index !== 0);
    if (kind === 'epoch') return this.#epoch(storage);
    if (kind === 'add' || others.length === 0) return this.#add(storage);
    return kind === 'remove' ? this.#remove(storage, pick(others)) : this.#rotate(storage, pick(others));
  }

  async #add(storage: Storage): Promise<void> {
    const index = this.#make();
    await addKey({ ...this.#request(storage, 0, index), owner: { keyEnv: 'NEW' }, name: null });
    this.#known[index]!.state = 'sure';
  }

  /** Somebody else's slot may have taken its name by the time nobody else can change any: then it is left. */
  async #remove(storage: Storage, index: number): Promise<void> {
    const slotOf = async () => {
      const repository = await Repository.open(storage, this.owner);
      const slots = await judgeSlots(storage, repository.keys, repository.keys.newest);
      return (await slotOpenedBy(slots, repository, this.of(index)))?.slot;
    };
    const slot = await slotOf();
    if (slot === undefined) return; // somebody else has removed it
    this.#known[index]!.state = 'maybe';
    const confirm = async () => (await slotOf()) === slot;
    await removeKey({ ...this.#request(storage, 0), slot, confirm });
    this.#known[index]!.state = 'gone';
  }

  /** The strategy's own secret is replaced; then the strategy says the new one, and the command is run again. */
  async #rotate(storage: Storage, old: number): Promise<void> {
    const index = this.#make();
    this.#known[old]!.state = 'maybe';
    await rotateKey({ ...this.#request(storage, old, index), slot: null, owner: { keyEnv: 'NEW' } });
    this.#known[index]!.state = 'sure';
    await rotateKey({ ...this.#request(storage, index), slot: null, owner: {} });
    this.#known[old]!.state = 'gone';
  }

  async #epoch(storage: Storage): Promise<void> {
    const there = this.#all(({ state }) => state !== 'gone');
    await rotateEpoch({
      ...this.#request(storage, 0),
      ...{ with: there.map(index => `key-env=SECRET_${index}`), retire: [], confirm: async () => true },
    });
  }

  #make(): number {
    return this.#known.push({ text: newKeyText(), state: 'maybe' }) - 1;
  }

  /** Of a strategy on a machine of its own, whose storage this is. */
  #request(storage: Storage, own: number, made?: number): { strategy: Strategy; repository: string } {
    const path = `/machine ${++this.#opened}`;
    machines.set(path, storage);
    const environment: Record<string, string> = { KEY: this.#known[own]!.text };
    if (made !== undefined) environment.NEW = this.#known[made]!.text;
    for (const [i, { text }] of this.#known.entries()) environment[`SECRET_${i}`] = text;
    const spec: RepositorySpec = {
      ...{ name: REPOSITORY, storage: { kind: 'local', path }, address: path, region: null },
      ...{ key: { kind: 'env', variable: 'KEY' }, limits: { connections: null, bytesPerSecond: null } },
      ...{ storageClass: null, lock: null, residency: null, offsite: null, capacityBytes: null, missing: [] },
    };
    const strategy: Strategy = {
      ...{ file: `${path}/tidemark.yaml`, folder: path, environment },
      ...{ databases: new Map(), repositories: new Map([[REPOSITORY, spec]]), plans: new Map() },
    };
    return { strategy, repository: REPOSITORY };
  }

  /** Once all is quiet: what was said of each secret is so. */
  async judge(storage: Storage): Promise<void> {
    const newest = await newestEpoch(storage);
    for (const [i, { state }] of this.#known.entries()) {
      const opening = Repository.open(storage, this.of(i)).then(({ keys }) => keys.current.epoch);
      const epoch = await opening.catch((error: { code?: string }) => error.code);
      if (state === 'sure') assert.equal(epoch, newest, `secret ${i} was said to open the repository`);
      if (state === 'gone')
        assert.ok(typeof epoch === 'string', `secret ${i} was said to be gone, and opens epoch ${epoch}`);
    }
  }
}

const machines = new Map<string, Storage>();
const open = localKind.open;
mock.method(
  localKind,
  'open',
  async (spec: Parameters<typeof open>[0]) => machines.get(spec.path) ?? (await open(spec)),
);
