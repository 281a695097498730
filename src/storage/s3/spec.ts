import { usageError } from '../../base/errors.ts';
import { readSize } from '../../base/size.ts';
import { type Address, checkClass, type Encryption, refuseSettings, type StorageSettings } from '../kind.ts';
import { S3_CLASSES } from './classes.ts';
import { readEndpoint, regionOfEndpoint } from './endpoint.ts';

export interface S3Spec {
  kind: 's3';
  bucket: string;
  /** Without slashes at its ends; empty: the bucket as a whole. */
  prefix: string;
  /** Absent: AWS_REGION, or the profile's. */
  region?: string;
  /** An origin, such as `https://s3.example.com`; absent: AWS. */
  endpoint?: string;
  /** The bucket in the path of requests rather than in the host's name. */
  pathStyle: boolean;
  /** A profile of ~/.aws/config and ~/.aws/credentials. */
  profile?: string;
  /** Absent: the standard chain of AWS. */
  credentials?: S3Credentials;
  encryption?: Encryption;
  /** Of uploads in several parts. */
  partSizeBytes: number;
}

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

const DEFAULT_PART_BYTES = 16 << 20;
/** What S3 allows: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. */
const SMALLEST_PART_BYTES = 5 << 20;
const LARGEST_PART_BYTES = 1 << 30;

const QUERY = ['region', 'endpoint', 'path_style', 'profile', 'insecure', 'part_size'];
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
const EXAMPLE = 's3://bucket/folder?region=eu-central-1';

/** @throws TidemarkError of kind usage whose message goes on after "storage of repository x". */
export function parseS3(address: Address, settings: StorageSettings): S3Spec {
  refuseSettings(settings, 'an S3 bucket', ['region', 'storageClass', 'encryption', 'credentials']);
  checkClass(settings.storageClass, S3_CLASSES);
  checkPlace(address);
  const { query } = address;
  for (const key of query.keys()) {
    if (QUERY.includes(key)) continue;
    throw fault(`has ${key}= in its address, which S3 storages don't know`, `they know ${QUERY.join(', ')}`);
  }
  const endpoint = query.has('endpoint')
    ? readEndpoint(query.get('endpoint')!, readYesNo(query, 'insecure') ?? false)
    : undefined;
  const spec: S3Spec = {
    kind: 's3',
    bucket: address.host,
    prefix: address.path,
    region: readRegion(query.get('region'), settings.region) ?? regionOfEndpoint(endpoint),
    endpoint,
    pathStyle: readYesNo(query, 'path_style') ?? (endpoint !== undefined || address.host.includes('.')),
    profile: query.get('profile') || undefined,
    credentials: readCredentials(settings.credentials),
    encryption: settings.encryption,
    partSizeBytes: readPartSize(query.get('part_size')),
  };
  if (spec.profile !== undefined && spec.credentials !== undefined)
    throw fault('has both a profile and credentials', 'remove one of them');
  return spec;
}

/** No secrets: credentials are no part of where the objects lie. */
export function s3Location({ bucket, prefix, endpoint }: S3Spec): string {
  const path = prefix === '' ? bucket : `${bucket}/${prefix}`;
  return endpoint === undefined ? `s3://${path}` : `s3://${path}?endpoint=${endpoint}`;
}

function checkPlace({ user, host, port, path }: Address): void {
  if (host === '') throw fault('has no bucket', `write ${EXAMPLE}`);
  if (user !== undefined)
    throw fault('has a user in its address', 'remove what stands before @; keys go under credentials:');
  if (port !== undefined) {
    const hint = `write the server as endpoint: s3://bucket/folder?endpoint=https://${host}:${port}`;
    throw fault('has a port where the bucket goes', hint);
  }
  if (!BUCKET.test(host))
    throw fault(`has no bucket called ${host}: no bucket can have that name`, `write ${EXAMPLE}`);
  const odd = path.split('/').some(part => part === '.' || part === '..');
  if (odd || /[\u0000-\u001f\u007f]/.test(path))
    throw fault('has a folder in its address that can have no name', `write ${EXAMPLE}`);
}

function readRegion(inAddress: string | undefined, beside: string | undefined): string | undefined {
  if (inAddress && beside && inAddress !== beside)
    throw fault(`has two regions, ${inAddress} in its address and ${beside} beside it`, 'remove one of them');
  const region = inAddress || beside || undefined;
  if (region === undefined || /^[A-Za-z0-9-]+$/.test(region)) return region;
  throw fault(`has a region that is none: ${region}`, 'write it as the provider does, such as eu-central-1');
}

function readYesNo(query: Address['query'], key: string): boolean | undefined {
  const written = query.get(key);
  if (written === undefined) return undefined;
  if (written === 'true' || written === 'false') return written === 'true';
  throw fault(`has ${key}=${written} in its address`, `write ${key}=true or ${key}=false`);
}

function readPartSize(written: string | undefined): number {
  if (written === undefined) return DEFAULT_PART_BYTES;
  const bytes = readSize(written);
  if (bytes !== undefined && bytes >= SMALLEST_PART_BYTES && bytes <= LARGEST_PART_BYTES) return bytes;
  throw fault(`has part_size=${written} in its address`, 'write a size from 5MiB to 1GiB, such as 16MiB');
}

/** What credentials are called in the strategy. */
const CREDENTIALS = {
  access_key_id: 'accessKeyId',
  secret_access_key: 'secretAccessKey',
  session_token: 'sessionToken',
} as const;

function readCredentials(written: StorageSettings['credentials']): S3Credentials | undefined {
  if (written === undefined) return undefined;
  const names = Object.keys(CREDENTIALS).join(', ');
  const read: Partial<S3Credentials> = {};
  for (const [key, value] of Object.entries(written)) {
    if (!Object.hasOwn(CREDENTIALS, key)) throw fault(`has ${key} under credentials`, `S3 knows ${names}`);
    // What surrounds a key in a file of variables is never part of it, and a header can't hold a line end.
    read[CREDENTIALS[key as keyof typeof CREDENTIALS]] = value.trim();
  }
  const { accessKeyId, secretAccessKey, sessionToken } = read;
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, sessionToken };
  const missing = accessKeyId ? 'secret_access_key' : 'access_key_id';
  throw fault(`has credentials without ${missing}`, `write ${names} (the last only for temporary ones)`);
}

function fault(what: string, hint: string) {
  return usageError('STORAGE_ADDRESS', what, hint);
}
