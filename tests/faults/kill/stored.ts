import assert from 'node:assert/strict';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lookForDamage } from '../../../src/operations/heal/damage.ts';
import { openSnapshot } from '../../../src/operations/open/openSnapshot.ts';
import { planCollection } from '../../../src/repository/collect/collectionPlan.ts';
import { readHoldings } from '../../../src/repository/collect/contents.ts';
import { packName } from '../../../src/repository/format/packName.ts';
import { snapshotOf } from '../../../src/repository/manifest.ts';
import { PackChecks } from '../../../src/repository/packs/packChecks.ts';
import { Repository } from '../../../src/repository/repository.ts';
import { LocalStorage } from '../../../src/storage/local/storage.ts';

const HOUR_S = 3600;

/** A repository in a folder, looked at without tidemark's commands. */
export class Stored {
  readonly repository: Repository;
  readonly #folder: string;
  /** Names of snapshots that a test has damaged, and that nothing has healed yet. */
  readonly sick = new Set<string>();
  snapshotsRead = 0;

  private constructor(repository: Repository, folder: string) {
    this.repository = repository;
    this.#folder = folder;
  }

  static async open(folder: string, keyFile: string): Promise<Stored> {
    const text = await readFile(keyFile, 'utf8');
    const storage = new LocalStorage(folder);
    return new Stored(await Repository.open(storage, { kind: 'key', text, where: 'the test' }), folder);
  }

  names(): Promise<string[]> {
    return this.repository.snapshotNames();
  }

  /** Each once, oldest first. */
  async ids(): Promise<string[]> {
    return [...new Set((await this.names()).map(snapshotOf))];
  }

  /** Reads every listed snapshot wholly, but for those that are sick. Ids of all. */
  async readAll(): Promise<string[]> {
    for (const name of await this.names()) {
      if (this.sick.has(name)) continue;
      const snapshot = await openSnapshot(this.repository, name);
      for (const part of snapshot.parts) {
        let bytes = 0;
        const list = await snapshot.reader.list(part, part.table);
        for await (const piece of snapshot.reader.stream(list, part.table)) bytes += piece.length;
        assert.equal(bytes, part.bytes, `${part.table} of ${name}`);
      }
      this.snapshotsRead++;
    }
    return this.ids();
  }

  /** Nothing is recorded as damaged but what a test has damaged. */
  async recordsAreTrue(): Promise<void> {
    if (this.sick.size > 0) return;
    const checks = await PackChecks.read(this.repository);
    for await (const manifest of this.repository.read(await this.names()))
      assert.deepEqual(checks.hurting(manifest), [], `damage is recorded of ${manifest.snapshot}`);
  }

  /** Changes a byte of one pack of a snapshot, and remembers all that name that pack. */
  async damage(name: string, chosen: number): Promise<void> {
    const { packs } = await this.repository.manifest(name);
    const [session, number] = packs[Math.floor(chosen * packs.length)]!;
    const path = join(this.#folder, 'packs', packName(session, number));
    const bytes = await readFile(path);
    bytes[bytes.length >> 1]! ^= 0x40;
    await writeFile(path, bytes);
    for (const each of await this.names()) {
      const manifest = await this.repository.manifest(each);
      if (manifest.packs.some(([of, n]) => of === session && n === number)) this.sick.add(each);
    }
  }

  /**
   * After heal or repair: each is there, once, and nothing is damaged as far as is known. Reading them comes after.
   *
   * @param said what the command has said, for whoever has to find out why it is not so.
   */
  async cured(said: unknown): Promise<void> {
    const names = await this.names();
    for (const sick of this.sick) {
      const found = names.filter(name => snapshotOf(name) === snapshotOf(sick));
      assert.equal(found.length, 1, `${snapshotOf(sick)} is there as ${found}: ${JSON.stringify(said)}`);
    }
    this.sick.clear();
    assert.deepEqual((await lookForDamage({ repository: this.repository })).sick, []);
  }

  /** A day passes: what is condemned is due, and the leases of the killed end. */
  async age(): Promise<void> {
    const then = Date.now() / 1000 - 25 * HOUR_S;
    for (const folder of ['condemned', 'leases']) {
      const root = join(this.#folder, folder);
      const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
      for (const entry of entries)
        if (entry.isFile()) await utimes(join(entry.parentPath, entry.name), then, then);
    }
  }

  /** After prunes on several days: what is there is needed. */
  async onlyWhatIsNeeded(): Promise<void> {
    const holdings = await readHoldings(this.repository);
    const plan = await planCollection(this.repository, holdings);
    assert.deepEqual([plan.condemn.length, plan.free.length, plan.waiting.packs], [0, 0, 0]);
    const { forgotten, condemned, live, compacting } = holdings;
    assert.deepEqual([forgotten.length, condemned.length, live.length, compacting.size], [0, 0, 0, 0]);
  }
}
