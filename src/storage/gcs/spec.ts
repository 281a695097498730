import type { GcsCredentials } from './credentials.ts';

/** A bucket of Google Cloud Storage, spoken to by its JSON API. */
export interface GcsSpec {
  kind: 'gcs';
  bucket: string;
  /** What all names start with, without slashes at its ends; empty for the whole bucket. */
  prefix: string;
  /** Without a slash at its end. */
  endpoint: string;
  /** The project that requests are billed to, for buckets whose requester pays. */
  project?: string;
  /** Where the bucket has to lie, in lower case. */
  region?: string;
  /** `projects/…/cryptoKeys/…`; absent: what the bucket says, else Google's own keys. */
  kmsKey?: string;
  /** Absent: application default credentials. */
  credentials?: GcsCredentials;
}

/** The place without its server, for people. */
export function placeOf({ bucket, prefix }: GcsSpec): string {
  return prefix === '' ? `gs://${bucket}` : `gs://${bucket}/${prefix}`;
}
