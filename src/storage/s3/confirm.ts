import { TidemarkError } from '../../base/errors.ts';
import type { Attributes } from './attributes.ts';
import type { Bucket } from './bucket.ts';

/**
 * Looks whether the server did what was asked for besides storing the bytes: some take any header and pass over it. Once
 * for every combination of class, encryption and lock is enough, since what a server knows it does every time.
 */
export class Confirmations {
  readonly #bucket: Bucket;
  readonly #confirmed = new Set<string>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** @throws TidemarkError STORAGE_UNSUPPORTED where it was not done; the object is removed again. */
  async check(name: string, attributes: Attributes): Promise<void> {
    const { StorageClass, ServerSideEncryption, ObjectLockMode } = attributes;
    if (!StorageClass && !ServerSideEncryption && !ObjectLockMode) return;
    const combination = [StorageClass, ServerSideEncryption, ObjectLockMode].join(' ');
    if (this.#confirmed.has(combination)) return;
    const lack = await this.#lack(name, attributes);
    if (lack === undefined) {
      this.#confirmed.add(combination);
      return;
    }
    await this.#takeBack(name);
    const [what, hint] = lack;
    throw new TidemarkError(
      'STORAGE_UNSUPPORTED',
      `can't write ${name} in ${this.#bucket.place}: the server stores it, but ${what}`,
      hint,
    );
  }

  /** What was not done, and what to do about it. */
  async #lack(name: string, asked: Attributes): Promise<[what: string, hint: string] | undefined> {
    const head = await this.#bucket.head(name);
    if (asked.StorageClass && (head.StorageClass ?? 'STANDARD') !== asked.StorageClass)
      return [
        `not in class ${asked.StorageClass}`,
        'remove class from the repository: this server has no such class',
      ];
    if (asked.ServerSideEncryption && head.ServerSideEncryption !== asked.ServerSideEncryption)
      return ['does not encrypt it', 'remove encryption from the repository: tidemark encrypts in any case'];
    if (asked.ObjectLockMode && head.ObjectLockMode !== asked.ObjectLockMode)
      return [
        'does not say that it is locked',
        'allow s3:GetObjectRetention; if it is allowed, this server has no object lock: remove lock from the repository',
      ];
    return undefined;
  }

  /** Never fails: what it is called for has failed already. */
  async #takeBack(name: string): Promise<void> {
    const { sdk } = this.#bucket;
    const doing = { what: `remove ${name}`, permission: 's3:DeleteObject' };
    const command = new sdk.DeleteObjectCommand(this.#bucket.at(name));
    await this.#bucket.ask(doing, client => client.send(command)).catch(() => {});
  }
}
