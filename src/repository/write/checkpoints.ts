import type { PartRecord } from '../manifest.ts';
import type { Repository } from '../repository.ts';
import type { WrittenStream } from './chunkWriter.ts';
import { removeUnfinished, type UnfinishedContent, writeUnfinished } from './unfinished.ts';

/** What a run that is cut off has to do again: what it stored in this time, and the parts that it was at. */
const CHECKPOINT_MS = 30_000;

export interface CheckpointOptions {
  repository: Repository;
  session: string;
  database: string;
  started: Date;
  /** Whether a pack of the session has been stored. */
  isStored(pack: number): boolean;
  /** Sessions and packs that these streams refer to. */
  tableOf(written: readonly WrittenStream[]): Pick<UnfinishedContent, 'sessions' | 'epochs' | 'packs'>;
  everyMs?: number;
}

/**
 * Says in the repository, now and then, which parts a session has stored, so that the next one can go on from there
 * (docs/recovery.md, "A killed command"). It helps the next run and must never hurt this one: a checkpoint that can't be
 * written is left out.
 */
export class Checkpoints {
  readonly #options: CheckpointOptions;
  readonly #timer: NodeJS.Timeout;
  /** Parts of which something is not stored yet. */
  #open: { record: PartRecord; written: WrittenStream }[] = [];
  #parts: PartRecord[] = [];
  #streams: WrittenStream[] = [];
  #number = 0;
  #saidParts = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: CheckpointOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#queue(), options.everyMs ?? CHECKPOINT_MS);
    this.#timer.unref();
  }

  /** A part has been read and handed over to be stored. */
  add(record: PartRecord, written: WrittenStream): void {
    this.#open.push({ record, written });
  }

  #queue(): void {
    this.#writing = this.#writing.then(() => this.#write()).catch(() => {});
  }

  async #write(): Promise<void> {
    const { repository, session, database, started, isStored, tableOf } = this.#options;
    const stored = ({ written }: { written: WrittenStream }) =>
      written.packs.every(([owner, pack]) => owner !== session || isStored(pack));
    for (const { record, written } of this.#open.filter(stored)) {
      this.#parts.push(record);
      this.#streams.push(written);
    }
    this.#open = this.#open.filter(each => !stored(each));
    if (this.#parts.length === this.#saidParts) return;
    const { sessions, epochs, packs } = tableOf(this.#streams);
    const content = {
      ...{ database, started: started.toISOString(), sessions, epochs, packs, parts: this.#parts },
    };
    const said = this.#parts.length;
    await writeUnfinished(repository, session, this.#number + 1, content);
    this.#number++;
    this.#saidParts = said;
  }

  /** The session ends without a snapshot: what is stored by now is said. */
  async abandon(): Promise<void> {
    clearInterval(this.#timer);
    this.#queue();
    await this.#writing;
  }

  /** The session's snapshot exists: there is nothing to go on from. */
  async finish(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    if (this.#number > 0)
      await removeUnfinished(this.#options.repository, this.#options.session).catch(() => {});
  }
}
