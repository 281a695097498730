import { createHash, randomBytes } from 'node:crypto';
import { crc32c } from '../../../src/base/crc32c.ts';
import { ApiError } from './apiError.ts';

export interface BucketOptions {
  /** As Google writes it: `EUROPE-WEST1`, `EU`. */
  location?: string;
  /** https://docs.cloud.google.com/storage/docs/object-lock: retention of single objects is allowed. */
  objectRetention?: boolean;
  defaultClass?: string;
  /** https://docs.cloud.google.com/storage/docs/bucket-lock: every object is kept so long. */
  retentionSeconds?: number;
}

export interface Bucket extends Required<BucketOptions> {
  name: string;
  timeCreated: string;
  objects: Map<string, StoredObject>;
}

export interface Retention {
  mode: 'Unlocked' | 'Locked';
  retainUntilTime: string;
}

/** https://docs.cloud.google.com/storage/docs/json_api/v1/objects#resource */
export interface Resource {
  [field: string]: unknown;
  name: string;
  generation: string;
  metageneration: string;
  retention?: Retention;
  temporaryHold?: boolean;
}

export interface StoredObject {
  resource: Resource;
  bytes: Buffer;
}

const CLASSES = ['STANDARD', 'NEARLINE', 'COLDLINE', 'ARCHIVE'];
/** What a client may set in an upload; https://docs.cloud.google.com/storage/docs/json_api/v1/objects/insert */
const WRITABLE = [
  'name',
  'contentType',
  'cacheControl',
  'storageClass',
  'retention',
  'md5Hash',
  'crc32c',
  'metadata',
];

export function makeBucket(name: string, options: BucketOptions = {}): Bucket {
  return {
    name,
    location: 'US',
    objectRetention: false,
    defaultClass: 'STANDARD',
    retentionSeconds: 0,
    timeCreated: new Date().toISOString(),
    objects: new Map(),
    ...options,
  };
}

export function bucketResource(bucket: Bucket): object {
  return {
    kind: 'storage#bucket',
    id: bucket.name,
    name: bucket.name,
    location: bucket.location,
    locationType: /\d$/.test(bucket.location) ? 'region' : 'multi-region',
    storageClass: bucket.defaultClass,
    timeCreated: bucket.timeCreated,
    ...(bucket.objectRetention ? { objectRetention: { mode: 'Enabled' } } : {}),
  };
}

export function objectOf(bucket: Bucket, name: string): StoredObject {
  const found = bucket.objects.get(name);
  if (!found) throw new ApiError(404, 'notFound', `No such object: ${bucket.name}/${name}`);
  return found;
}

let lastGeneration = Date.now() * 1000;

/** What an upload does once all of its bytes are there: checks, then the object at once. */
export function insert(
  bucket: Bucket,
  metadata: Record<string, unknown>,
  bytes: Buffer,
  query: URLSearchParams,
): Resource {
  const sums = checksums(bytes);
  checkMetadata(bucket, metadata, sums);
  const name = String(metadata.name);
  checkPreconditions(bucket.objects.get(name), query);
  checkFree(bucket, name);
  const now = new Date().toISOString();
  const resource: Resource = {
    kind: 'storage#object',
    bucket: bucket.name,
    contentType: 'application/octet-stream',
    storageClass: bucket.defaultClass,
    ...metadata,
    name,
    generation: String(++lastGeneration),
    metageneration: '1',
    timeCreated: now,
    updated: now,
    timeStorageClassUpdated: now,
    size: String(bytes.length),
    ...sums,
    etag: randomBytes(6).toString('base64'),
    ...(query.has('kmsKeyName') ? { kmsKeyName: `${query.get('kmsKeyName')}/cryptoKeyVersions/1` } : {}),
  };
  bucket.objects.set(name, { resource, bytes });
  return withExpiration(bucket, resource);
}

function checkMetadata(
  bucket: Bucket,
  metadata: Record<string, unknown>,
  found: ReturnType<typeof checksums>,
): void {
  const unknown = Object.keys(metadata).find(key => !WRITABLE.includes(key));
  if (unknown) throw invalid(`Unknown name "${unknown}"`);
  if (!metadata.name) throw new ApiError(400, 'required', 'Required');
  const { storageClass, retention } = metadata;
  if (storageClass !== undefined && !CLASSES.includes(String(storageClass)))
    throw invalid(`Invalid storage class: ${storageClass}`);
  if (retention) checkRetention(bucket, retention as Retention);
  for (const [field, called] of [
    ['md5Hash', 'MD5 hash'],
    ['crc32c', 'CRC32C'],
  ] as const) {
    const given = metadata[field];
    if (given !== undefined && given !== found[field])
      throw invalid(`Provided ${called} "${given}" doesn't match calculated ${called} "${found[field]}".`);
  }
}

function checksums(bytes: Buffer): { md5Hash: string; crc32c: string } {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32c(bytes));
  return { md5Hash: createHash('md5').update(bytes).digest('base64'), crc32c: sum.toString('base64') };
}

/** https://docs.cloud.google.com/storage/docs/request-preconditions */
export function checkPreconditions(found: StoredObject | undefined, query: URLSearchParams): void {
  const { generation = '0', metageneration = '0' } = found?.resource ?? {};
  for (const [parameter, actual] of [
    ['ifGenerationMatch', generation],
    ['ifMetagenerationMatch', metageneration],
  ] as const) {
    const wanted = query.get(parameter);
    if (wanted !== null && wanted !== actual)
      throw new ApiError(
        412,
        'conditionNotMet',
        'At least one of the pre-conditions you specified did not hold.',
      );
  }
}

/** Neither a retention nor a hold forbids to remove or overwrite it. */
export function checkFree(bucket: Bucket, name: string): void {
  const resource = bucket.objects.get(name)?.resource;
  if (!resource) return;
  if (resource.temporaryHold)
    throw new ApiError(
      403,
      'objectUnderActiveHold',
      `Object '${bucket.name}/${name}' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is removed.`,
    );
  const { retentionExpirationTime } = withExpiration(bucket, resource);
  if (Date.parse(String(retentionExpirationTime)) > Date.now())
    throw new ApiError(
      403,
      'retentionPolicyNotMet',
      `Object '${bucket.name}/${name}' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten until ${retentionExpirationTime}`,
    );
}

/** The resource as it is shown: with the later of the object's and the bucket's retention. */
export function withExpiration(bucket: Bucket, resource: Resource): Resource {
  const ends = [Date.parse(resource.retention?.retainUntilTime ?? '')];
  if (bucket.retentionSeconds > 0)
    ends.push(Date.parse(String(resource.timeCreated)) + bucket.retentionSeconds * 1000);
  const last = Math.max(...ends.filter(end => !Number.isNaN(end)));
  if (last === Number.NEGATIVE_INFINITY) return resource;
  return { ...resource, retentionExpirationTime: new Date(last).toISOString() };
}

function checkRetention(bucket: Bucket, { mode, retainUntilTime }: Retention): void {
  if (!bucket.objectRetention) throw invalid(`Object retention is not enabled on bucket '${bucket.name}'.`);
  if (!['Unlocked', 'Locked'].includes(mode)) throw invalid(`Invalid retention mode: ${mode}`);
  if (!(Date.parse(retainUntilTime) > Date.now())) throw invalid('retainUntilTime must be in the future.');
}

/** https://docs.cloud.google.com/storage/docs/json_api/v1/objects/patch, overrideUnlockedRetention; object-lock, modes. */
export function patch(
  bucket: Bucket,
  { resource }: StoredObject,
  changes: { retention?: Retention; temporaryHold?: boolean },
  query: URLSearchParams,
): Resource {
  const { retention } = changes;
  if (retention !== undefined) {
    checkRetention(bucket, retention);
    const old = resource.retention;
    const weaker =
      old !== undefined &&
      (Date.parse(retention.retainUntilTime) < Date.parse(old.retainUntilTime) ||
        retention.mode !== old.mode);
    const allowed = old?.mode === 'Unlocked' && query.get('overrideUnlockedRetention') === 'true';
    if (weaker && !allowed)
      throw new ApiError(
        403,
        'forbidden',
        `The retention of '${resource.name}' can't be reduced or changed.`,
      );
  }
  Object.assign(resource, changes, {
    metageneration: String(Number(resource.metageneration) + 1),
    updated: new Date().toISOString(),
  });
  return withExpiration(bucket, resource);
}

export function invalid(message: string): ApiError {
  return new ApiError(400, 'invalid', message);
}
