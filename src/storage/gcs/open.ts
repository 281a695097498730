import type { Storage } from '../storage.ts';
import { openAuth } from './auth.ts';
import { GcsBucket } from './bucket.ts';
import { GcsClient } from './client.ts';
import { type GcsSpec, placeOf } from './spec.ts';
import { GcsStorage } from './storage.ts';

/** A connection on which nothing moves for so long is given up; what lies in the kernel's buffers is not seen moving. */
const SILENCE_MS = 120_000;

/** @param silenceMs how long nothing may move on a connection before it is given up. */
export async function openGcs(spec: GcsSpec, silenceMs = SILENCE_MS): Promise<Storage> {
  const { bucket, prefix, endpoint, project, credentials } = spec;
  const auth = await openAuth(credentials, silenceMs);
  const client = new GcsClient({ auth, endpoint, project, silenceMs });
  return new GcsStorage(new GcsBucket(client, bucket, prefix, placeOf(spec)), spec);
}
