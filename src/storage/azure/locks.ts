import type { BlobGetPropertiesResponse, BlobImmutabilityPolicy } from '@azure/storage-blob';
import type { Lock, Locks } from '../storage.ts';
import type { AzureContainer } from './container.ts';

/**
 * Time-based immutability policies of single blobs, which need a container with version-level immutability. An unlocked
 * policy is our governance: who has the right to can shorten or end it. A locked one is our compliance: nobody can.
 */
export class AzureLocks implements Locks {
  readonly #container: AzureContainer;

  constructor(container: AzureContainer) {
    this.#container = container;
  }

  async until(name: string): Promise<Date | undefined> {
    const found = await this.#container.properties(name);
    return found && lockedUntil(found);
  }

  async extend(name: string, lock: Lock): Promise<void> {
    const blob = this.#container.blob(name);
    const found = await this.#container.properties(name);
    const present = found && lockedUntil(found);
    const policy = policyOf(lock);
    const isLocked = present !== undefined && modeOf(found!) === 'locked';
    if (present && present >= policy.expiriesOn! && (isLocked || policy.policyMode === 'Unlocked')) return;
    if (present && present > policy.expiriesOn!) policy.expiriesOn = present;
    if (isLocked) policy.policyMode = 'Locked';
    await this.#container.call('lock', name, ({ signal }) =>
      blob.setImmutabilityPolicy(policy, { abortSignal: signal }),
    );
  }
}

/** The service counts whole seconds: rounded up, since nobody may remove the object before. */
export function policyOf({ mode, until }: Lock): BlobImmutabilityPolicy {
  return {
    expiriesOn: new Date(Math.ceil(until.getTime() / 1000) * 1000),
    policyMode: mode === 'compliance' ? 'Locked' : 'Unlocked',
  };
}

/** Undefined where there is no policy, or where it has ended by the service's clock. */
export function lockedUntil(found: BlobGetPropertiesResponse): Date | undefined {
  const { immutabilityPolicyExpiresOn: until, date = new Date() } = found;
  return until && modeOf(found) !== 'mutable' && until > date ? until : undefined;
}

/** The reference of the service and its SDK write it in different cases. */
function modeOf({ immutabilityPolicyMode: mode }: BlobGetPropertiesResponse): string | undefined {
  return mode?.toLowerCase();
}
