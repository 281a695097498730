import { TidemarkError } from '../../base/errors.ts';
import { missing } from '../object.ts';
import type { Lock, Locks } from '../storage.ts';
import type { GcsBucket } from './bucket.ts';

/** https://docs.cloud.google.com/storage/docs/object-lock */
interface Retention {
  /** Unlocked: who has storage.objects.overrideUnlockedRetention may lift it. Locked: nobody may. */
  mode: 'Unlocked' | 'Locked';
  /** RFC 3339. */
  retainUntilTime: string;
}

interface Retained {
  retention?: Retention;
  /** The later of the object's own retention and that of its bucket. */
  retentionExpirationTime?: string;
  metageneration: string;
}

export function retentionOf({ mode, until }: Lock): Retention {
  return { mode: mode === 'compliance' ? 'Locked' : 'Unlocked', retainUntilTime: until.toISOString() };
}

/** Locks by object retention, which a bucket has to be enabled for. */
export class GcsLocks implements Locks {
  readonly #bucket: GcsBucket;

  constructor(bucket: GcsBucket) {
    this.#bucket = bucket;
  }

  async until(name: string): Promise<Date | undefined> {
    const { retention, retentionExpirationTime } = await this.#retained(
      name,
      `can't look at the lock of ${name}`,
    );
    const times = [retention?.retainUntilTime, retentionExpirationTime].filter(time => time !== undefined);
    return times.length === 0 ? undefined : new Date(Math.max(...times.map(time => Date.parse(time))));
  }

  async extend(name: string, lock: Lock): Promise<void> {
    const doing = `can't lock ${name}`;
    const { retention, metageneration } = await this.#retained(name, doing);
    const wanted = retentionOf(lock);
    if (retention) {
      if (retention.mode === 'Locked') wanted.mode = 'Locked';
      const longer = Date.parse(retention.retainUntilTime) >= lock.until.getTime();
      if (longer && retention.mode === wanted.mode) return;
      if (longer) wanted.retainUntilTime = retention.retainUntilTime;
    }
    const hardens = retention?.mode === 'Unlocked' && wanted.mode === 'Locked';
    const answer = await this.#bucket.askOf(doing, name, {
      method: 'PATCH',
      query: {
        // What others changed meanwhile is not undone.
        ifMetagenerationMatch: metageneration,
        overrideUnlockedRetention: hardens ? 'true' : undefined,
        fields: 'name',
      },
      body: { type: 'application/json', pieces: [Buffer.from(JSON.stringify({ retention: wanted }))] },
    });
    if (answer.status === 412) throw changed(`${doing} in ${this.#bucket.place}`);
    if (answer.status !== 200) throw this.#bucket.failure(answer, doing);
  }

  async #retained(name: string, doing: string): Promise<Retained> {
    const fields = 'retention,retentionExpirationTime,metageneration';
    const answer = await this.#bucket.askOf(doing, name, { method: 'GET', query: { fields } });
    if (this.#bucket.hasNone(answer, doing)) throw missing(name, this.#bucket.place);
    return this.#bucket.content(answer, doing);
  }
}

function changed(what: string): TidemarkError {
  return new TidemarkError('STORAGE_CONFLICT', `${what}: somebody else changed it`, 'run the command again', {
    retry: {},
  });
}
