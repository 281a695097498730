import { TidemarkError } from '../../base/errors.ts';
import type { Lock, Locks } from '../storage.ts';
import type { Bucket } from './bucket.ts';

/** Object lock: retention of the object's newest version. */
export class S3Locks implements Locks {
  readonly #bucket: Bucket;
  readonly #now: () => Promise<Date>;
  #enabled: Promise<boolean> | undefined;

  /** @param now the server's clock, which locks go by. */
  constructor(bucket: Bucket, now: () => Promise<Date>) {
    this.#bucket = bucket;
    this.#now = now;
  }

  async until(name: string): Promise<Date | undefined> {
    return (await this.#retention(name))?.until;
  }

  async extend(name: string, lock: Lock): Promise<void> {
    const now = await this.#retention(name);
    const until = now && now.until > lock.until ? now.until : lock.until;
    const mode = now?.mode === 'compliance' ? now.mode : lock.mode;
    if (now && now.until.getTime() === until.getTime() && now.mode === mode) return;
    const { sdk } = this.#bucket;
    const command = new sdk.PutObjectRetentionCommand({
      ...this.#bucket.at(name),
      Retention: { Mode: mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE', RetainUntilDate: until },
      // Without it not even a stricter mode is let in.
      BypassGovernanceRetention: now?.mode === 'governance' && mode === 'compliance' ? true : undefined,
    });
    const permission = 's3:PutObjectRetention, and s3:BypassGovernanceRetention to change its mode';
    const doing = { what: `lock ${name}`, permission, object: name };
    await this.#bucket.ask(doing, client => client.send(command));
  }

  /**
   * @throws TidemarkError OBJECT_LOCKED where the newest version is locked. The server would hide it all the same, since
   * a plain removal only puts a marker on top of it.
   */
  async refuseLocked(name: string): Promise<void> {
    this.#enabled ??= this.#isEnabled().catch(error => {
      this.#enabled = undefined;
      throw error;
    });
    if (!(await this.#enabled)) return;
    const retention = await this.#retention(name).catch(error => {
      if (error instanceof TidemarkError && error.code === 'OBJECT_MISSING') return undefined;
      throw error;
    });
    if (!retention || retention.until <= (await this.#now())) return;
    throw new TidemarkError(
      'OBJECT_LOCKED',
      `can't remove ${name} in ${this.#bucket.place}: it is locked until ${retention.until.toISOString()}`,
      'wait until then',
    );
  }

  async #isEnabled(): Promise<boolean> {
    const { sdk, spec } = this.#bucket;
    const doing = {
      what: 'see whether objects can be locked',
      permission: 's3:GetBucketObjectLockConfiguration',
    };
    try {
      await this.#bucket.ask(doing, client =>
        client.send(new sdk.GetObjectLockConfigurationCommand({ Bucket: spec.bucket })),
      );
      return true;
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.retry) throw error;
      // Where we may not know, each object is looked at.
      return error.code === 'STORAGE_DENIED';
    }
  }

  async #retention(name: string): Promise<Lock | undefined> {
    const { sdk } = this.#bucket;
    const doing = { what: `read the lock of ${name}`, permission: 's3:GetObjectRetention', object: name };
    try {
      const { Retention } = await this.#bucket.ask(doing, client =>
        client.send(new sdk.GetObjectRetentionCommand(this.#bucket.at(name))),
      );
      if (!Retention?.RetainUntilDate) return undefined;
      return {
        mode: Retention.Mode === 'COMPLIANCE' ? 'compliance' : 'governance',
        until: Retention.RetainUntilDate,
      };
    } catch (error) {
      if (error instanceof TidemarkError && UNLOCKED.includes(error.code)) return undefined;
      throw error;
    }
  }
}

/** That the object has no lock, or the bucket has none. */
const UNLOCKED = ['OBJECT_UNLOCKED', 'STORAGE_NO_LOCKS'];
