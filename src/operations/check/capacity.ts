import type { RepositorySpec } from '../../strategy/spec.ts';

/** Of its capacity, from where on somebody should know. */
const WARNED_AT = 0.8;

/** What to say of a repository that holds so many bytes; undefined where nothing is to be said. */
export function capacityWarning({ name, capacityBytes }: RepositorySpec, bytes: number): string | undefined {
  if (capacityBytes === null || bytes < capacityBytes * WARNED_AT) return undefined;
  const percent = Math.floor((bytes / capacityBytes) * 100);
  return `repository ${name} holds ${percent} % of its capacity (${inGigabytes(bytes)} of ${inGigabytes(capacityBytes)} GB)`;
}

const inGigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
