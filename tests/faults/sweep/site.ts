import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, link, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { openSnapshot } from '../../../src/operations/open/openSnapshot.ts';
import { snapshotOf } from '../../../src/repository/manifest.ts';
import { Repository } from '../../../src/repository/repository.ts';
import { LocalStorage } from '../../../src/storage/local/storage.ts';
import { loadStrategy } from '../../../src/strategy/load.ts';
import type { Strategy } from '../../../src/strategy/spec.ts';
import { makeRepository } from '../../support/cli.ts';
import { readBack } from '../../support/smallBackup.ts';

/** Of the small backups, which have no database. */
const SMALL = 'small';

/** What a snapshot holds: its rows, and those with everything that describes them. */
export interface Digest {
  rows: string;
  all: string;
}

export type Place = 'main' | 'archive';

/** A folder with a strategy, the repositories `main` and perhaps `archive`, and what is known of their snapshots. */
export class SweepSite {
  readonly folder: string;
  /** By snapshot: what it must hold wherever it is listed. */
  readonly known = new Map<string, Digest>();
  /** Snapshots that the operation is there to forget. */
  readonly mayGo = new Set<string>();
  /** What a snapshot may hold that a run has made. */
  readonly captured = new Set<string>();
  /** Names of manifests in `main` that a test has damaged, or whose packs: they may be refused until they are cured. */
  readonly sick = new Set<string>();
  readonly places: readonly Place[];
  /** Listed when the operation begins. */
  #listed = new Map<Place, string[]>();

  private constructor(folder: string, places: readonly Place[]) {
    this.folder = folder;
    this.places = places;
  }

  static async make(database: string, url: string, places: readonly Place[] = ['main']): Promise<SweepSite> {
    const site = new SweepSite(await newFolder(), places);
    for (const place of places) await makeRepository(site.path(place), site.path(`${place}.key`));
    await site.says(database, url, 10);
    return site;
  }

  /** Writes the strategy; of the database's snapshots so many are kept. */
  async says(database: string, url: string, keep: number): Promise<void> {
    const repositories = this.places.map(
      name => `  ${name}: { storage: ./${name}, key: { file: ./${name}.key } }`,
    );
    const plan = `{ database: ${database}, schedule: manual, store: [main], keep: { last: ${keep} } }`;
    const text = [
      `databases:\n  ${database}: { url: ${JSON.stringify(url)} }`,
      `repositories:\n${repositories.join('\n')}`,
      `plans:\n  daily: ${plan}\n`,
    ];
    await writeFile(this.path('tidemark.yaml'), text.join('\n'));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  strategy(): Promise<Strategy> {
    return loadStrategy(this.path('tidemark.yaml'), {}, { secrets: 'optional' });
  }

  /** A repository as it is, past all faults, by the key file there is now. */
  async open(place: Place = 'main', keyFile = `${place}.key`): Promise<Repository> {
    const text = await readFile(this.path(keyFile), 'utf8');
    return Repository.open(new LocalStorage(this.path(place)), { kind: 'key', text, where: keyFile });
  }

  /** Remembers all that is listed: from now on it must stay. */
  async learn(): Promise<void> {
    for (const place of this.places) {
      const repository = await this.open(place);
      const names = await repository.snapshotNames();
      this.#listed.set(place, names.map(snapshotOf));
      for (const name of names) this.known.set(snapshotOf(name), await digestOf(repository, name));
    }
  }

  /** Snapshots listed there now, after all bytes of each were read and compared; or refused, of one that is sick. */
  async whole(place: Place): Promise<string[]> {
    const repository = await this.open(place);
    const names = await repository.snapshotNames();
    for (const name of names) {
      const found = await digestOf(repository, name).catch(error => {
        if (place === 'main' && this.sick.has(name) && error.kind === 'fault') return undefined;
        throw error;
      });
      if (!found) continue;
      const known = this.known.get(snapshotOf(name));
      if (known) assert.deepEqual(found, known, `snapshot ${name} in ${place} holds something else`);
      else assert.ok(this.captured.has(found.rows), `new snapshot ${name} does not hold what was captured`);
    }
    return names.map(snapshotOf);
  }

  /** Everything listed anywhere is whole, and nothing is missing that nobody meant to go. */
  async nothingLost(): Promise<void> {
    for (const place of this.places) {
      const listed = await this.whole(place);
      for (const snapshot of this.#listed.get(place) ?? [])
        assert.ok(
          this.mayGo.has(snapshot) || listed.includes(snapshot),
          `snapshot ${snapshot} is gone from ${place}`,
        );
    }
  }

  /** What was written last, for storages that don't show it yet. */
  recent(place: Place): string[] {
    return (this.#listed.get(place) ?? []).slice(-1).map(snapshot => `snapshots/${snapshot}`);
  }

  async objects(place: Place, folder: string): Promise<string[]> {
    const root = this.path(join(place, folder));
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  }

  /** As if so many hours had passed for what is in a folder of the repository. */
  async age(place: Place, folder: string, hours: number): Promise<void> {
    const then = Date.now() / 1000 - hours * 3600;
    for (const file of await this.objects(place, folder)) await utimes(file, then, then);
  }

  async copy(): Promise<SweepSite> {
    const other = new SweepSite(await newFolder(), this.places);
    const filter = (path: string) => basename(path) !== 'packs';
    await cp(this.folder, other.folder, { recursive: true, preserveTimestamps: true, filter });
    for (const place of this.places) await this.#linkPacks(other, place);
    for (const [id, digest] of this.known) other.known.set(id, digest);
    for (const id of this.mayGo) other.mayGo.add(id);
    for (const rows of this.captured) other.captured.add(rows);
    for (const name of this.sick) other.sick.add(name);
    other.#listed = new Map(this.#listed);
    return other;
  }

  /** No pack is ever changed, so both may have the same. */
  async #linkPacks(other: SweepSite, place: Place): Promise<void> {
    for (const file of await this.objects(place, 'packs')) {
      const path = other.path(relative(this.folder, file));
      await mkdir(dirname(path), { recursive: true });
      await link(file, path);
    }
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Reads all of a snapshot, each chunk's id recomputed. */
export async function digestOf(repository: Repository, name: string): Promise<Digest> {
  const manifest = await repository.manifest(name);
  if (manifest.database === SMALL) {
    const blocks = JSON.stringify(await readBack(repository, manifest));
    return { rows: blocks, all: blocks };
  }
  const snapshot = await openSnapshot(repository, name);
  const rows = createHash('sha256');
  for (const part of snapshot.parts) {
    const { kind, schema, table, from, to, bytes } = part;
    rows.update(JSON.stringify([kind, schema, table, from, to, part.rows, bytes]));
    let read = 0;
    for await (const piece of snapshot.reader.stream(await snapshot.reader.list(part, table), table)) {
      rows.update(piece);
      read += piece.length;
    }
    assert.equal(read, bytes, `${schema}.${table} of ${name}`);
  }
  const read = rows.digest('hex');
  const all = createHash('sha256').update(read).update(snapshot.archiveBytes);
  return { rows: read, all: all.update(JSON.stringify(snapshot.globals)).digest('hex') };
}

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'tidemark-sweep-'));
