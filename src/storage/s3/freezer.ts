import type { Readable } from 'node:stream';
import { TidemarkError } from '../../base/errors.ts';
import type { Freezer } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { S3_CLASSES } from './classes.ts';

/** Objects in GLACIER and DEEP_ARCHIVE, and in the archive tiers of INTELLIGENT_TIERING. */
export class S3Freezer implements Freezer {
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async state(name: string): Promise<'readable' | 'frozen' | 'thawing'> {
    const head = await this.#bucket.head(name);
    if (!S3_CLASSES[head.StorageClass ?? 'STANDARD']?.frozen && !head.ArchiveStatus) return 'readable';
    if (head.Restore === undefined) return (await this.#isLabelOnly(name)) ? 'readable' : 'frozen';
    return /ongoing-request="true"/.test(head.Restore) ? 'thawing' : 'readable';
  }

  /** Some servers know the names of such classes, and read everything at once all the same. */
  async #isLabelOnly(name: string): Promise<boolean> {
    const { sdk, spec } = this.#bucket;
    if (spec.endpoint === undefined) return false;
    const command = new sdk.GetObjectCommand({ ...this.#bucket.at(name), Range: 'bytes=0-0' });
    const doing = { what: `read ${name}`, permission: 's3:GetObject', object: name };
    try {
      const { Body } = await this.#bucket.ask(doing, client => client.send(command));
      (Body as Readable).destroy();
      return true;
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'OBJECT_FROZEN') return false;
      throw error;
    }
  }

  async thaw(name: string, days: number): Promise<void> {
    const { sdk } = this.#bucket;
    const { StorageClass } = await this.#bucket.head(name);
    // INTELLIGENT_TIERING moves objects back for good, and refuses to hear of days.
    const order =
      StorageClass === 'INTELLIGENT_TIERING'
        ? {}
        : { Days: days, GlacierJobParameters: { Tier: 'Standard' as const } };
    const command = new sdk.RestoreObjectCommand({ ...this.#bucket.at(name), RestoreRequest: order });
    const doing = { what: `thaw ${name}`, permission: 's3:RestoreObject', object: name };
    await this.#bucket.ask(doing, async client => {
      await client.send(command).catch(error => {
        if (error.name !== 'RestoreAlreadyInProgress') throw error;
      });
    });
  }
}
