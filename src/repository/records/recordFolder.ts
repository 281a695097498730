import { TidemarkError } from '../../base/errors.ts';
import { unlessMissing } from '../../storage/object.ts';
import type { PutOptions, Storage } from '../../storage/storage.ts';
import { listOwn } from '../format/objectNames.ts';
import type { RepositoryKeys } from '../keys/keys.ts';

/** In place of a stand-in: what is wrong with the record is thrown. */
export const FAILS = Symbol('fails');

/**
 * What a folder's readers get for a record that they can't read, and never will: a stand-in, or `FAILS`. There is no default,
 * since each of these is a decision: to pass over a record may be harmless, or end what it protects.
 */
export interface RecordRule<StandIn> {
  /** Its bytes are not those that were written. */
  damaged: StandIn | typeof FAILS;
  /** A later version wrote it: FORMAT_TOO_NEW. */
  tooNew: StandIn | typeof FAILS;
  /** It is sealed with a key that came after the one that was given: KEY_RETIRED. */
  newerKey: StandIn | typeof FAILS;
  /** Something else, such as a link, stands in its place: it is listed, and damaged; else listing throws OBJECT_FOREIGN. */
  foreignIsDamage?: true;
}

export interface RecordEntry {
  /** What its name has behind the prefix. */
  id: string;
  name: string;
  /** By the storage's clock. */
  modified: Date;
}

interface Sealed {
  storage: Storage;
  keys: RepositoryKeys;
}

/** Small sealed records of one kind, `<prefix><id>`, each a JSON value that says its format (docs/format.md, "Manifests"). */
export class RecordFolder<Content extends { format: 1 }, StandIn = never> {
  readonly prefix: string;
  readonly #rule: RecordRule<StandIn>;

  constructor(prefix: string, rule: RecordRule<StandIn>) {
    this.prefix = prefix;
    this.#rule = rule;
  }

  name(id: string): string {
    return this.prefix + id;
  }

  /**
   * Those that are there, each once, by their names. Objects of others are left out; what stands in the place of a record
   * throws OBJECT_FOREIGN, unless the folder's rule has it listed.
   *
   * @param under only those whose ids begin so.
   */
  async list(storage: Storage, under = ''): Promise<RecordEntry[]> {
    const found = new Map<string, RecordEntry>();
    const add = (name: string, modified: Date) =>
      found.set(name, { id: name.slice(this.prefix.length), name, modified });
    const instead = this.#rule.foreignIsDamage && ((name: string) => void add(name, new Date(0)));
    for await (const { name, modified } of listOwn(storage, this.prefix + under, instead))
      add(name, modified);
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * What a record says; undefined where it is not there: others may have removed it since it was listed. For one that can't be
   * read, what the folder's rule says. What may pass is thrown in any case: errors of the storage, and EPOCH_UNKNOWN.
   */
  async read({ storage, keys }: Sealed, id: string): Promise<Content | StandIn | undefined> {
    const name = this.name(id);
    try {
      const sealed = await storage.get(name).catch(unlessMissing);
      return sealed && openRecord<Content>(keys, name, sealed, `${name} in ${storage.place}`);
    } catch (error) {
      const standIn = this.#standIn(error);
      if (standIn === FAILS) throw error;
      return standIn;
    }
  }

  #standIn(error: unknown): StandIn | typeof FAILS {
    if (!(error instanceof TidemarkError) || error.retry) return FAILS;
    if (error.kind === 'fault') return this.#rule.damaged;
    if (error.code === 'FORMAT_TOO_NEW') return this.#rule.tooNew;
    return error.code === 'KEY_RETIRED' ? this.#rule.newerKey : FAILS;
  }

  async write(
    { storage, keys }: Sealed,
    id: string,
    content: Omit<Content, 'format'>,
    options?: PutOptions,
  ): Promise<void> {
    const name = this.name(id);
    await storage.put(name, [keys.seal(name, { format: 1, ...content })], options);
  }

  /** One that is not there is no fault. */
  async remove(storage: Storage, id: string): Promise<void> {
    await storage.remove(this.name(id));
  }
}

/**
 * A record that was sealed for this name. Throws SEAL_BROKEN where it was changed or moved, and FORMAT_TOO_NEW where a later
 * version wrote it; both name `where`.
 */
export function openRecord<Content extends { format: 1 }>(
  keys: RepositoryKeys,
  name: string,
  sealed: Buffer,
  where: string,
): Content {
  const content = keys.open(name, sealed, where) as Content;
  if (content.format === 1) return content;
  throw new TidemarkError(
    'FORMAT_TOO_NEW',
    `${where} has format ${String((content as { format: unknown }).format)}`,
    'use a newer tidemark',
  );
}
