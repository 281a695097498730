import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import type { Secret } from '../../src/repository/keys/slots.ts';
import { Repository } from '../../src/repository/repository.ts';
import { openStorage } from '../../src/storage/index.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { loadStrategy } from '../../src/strategy/load.ts';
import type { Strategy } from '../../src/strategy/spec.ts';

/** A folder with a strategy of one repository, `main`, and no database; what happens there happens to its keys. */
export class KeySite {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** With a key file, unless `key` says what else the strategy opens it with, and `secret` what it is made with. */
  static async make(key = '{ file: ./main.key }', secret?: Secret): Promise<KeySite> {
    const site = new KeySite(await mkdtemp(join(tmpdir(), 'tidemark-keys-')));
    const text = newKeyText();
    await writeFile(site.path('main.key'), `${text}\n`, { mode: 0o600 });
    await site.opensWith(key);
    await Repository.create(
      await site.bare(),
      secret ?? { kind: 'key', text, where: 'main.key' },
      new Date(),
    );
    return site;
  }

  /** The same repository and strategy in another folder. */
  async copy(): Promise<KeySite> {
    const other = new KeySite(await mkdtemp(join(tmpdir(), 'tidemark-keys-')));
    await cp(this.folder, other.folder, { recursive: true, preserveTimestamps: true });
    return other;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Lets the strategy say another key. */
  async opensWith(key: string): Promise<void> {
    const text = `databases: {}\nrepositories:\n  main: { storage: ./repository, key: ${key} }\n`;
    await writeFile(this.path('tidemark.yaml'), text);
  }

  strategy(environment: Record<string, string> = {}): Promise<Strategy> {
    return loadStrategy(this.path('tidemark.yaml'), environment, { secrets: 'optional' });
  }

  /** The storage by itself, whatever a test has put around it elsewhere. */
  async bare(): Promise<Storage> {
    return new LocalStorage(this.path('repository'));
  }

  async open(secret?: Secret): Promise<Repository> {
    const storage = await openStorage({ spec: { kind: 'local', path: this.path('repository') } });
    return Repository.open(storage, secret ?? (await this.keyFile()));
  }

  async keyFile(name = 'main.key'): Promise<Secret> {
    return { kind: 'key', text: await readFile(this.path(name), 'utf8'), where: name };
  }

  /** Names of the objects in a folder of the repository, without what is below it. */
  async objects(folder: string): Promise<string[]> {
    const names = await readdir(this.path(`repository/${folder}`)).catch(() => []);
    return names.filter(name => !name.startsWith('.')).sort();
  }

  /** As if leases of who was killed had ended. */
  async leasesEnd(): Promise<void> {
    await rm(this.path('repository/leases'), { recursive: true, force: true });
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
