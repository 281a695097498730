import { usageError } from '../../base/errors.ts';
import { type Address, checkClass, refuseSettings, type StorageKind, type StorageSettings } from '../kind.ts';
import { readCredentials } from './credentials.ts';
import { gcsLifecycle } from './lifecycle.ts';
import { type GcsSpec, placeOf } from './spec.ts';

const GOOGLE = 'https://storage.googleapis.com';

/** https://docs.cloud.google.com/storage/docs/storage-classes: every class is read at once, at a price. */
const CLASSES = {
  STANDARD: { frozen: false, minimumDays: 0 },
  NEARLINE: { frozen: false, minimumDays: 30 },
  COLDLINE: { frozen: false, minimumDays: 90 },
  ARCHIVE: { frozen: false, minimumDays: 365 },
};

export const gcsKind: StorageKind<GcsSpec> = {
  kind: 'gcs',
  schemes: ['gs', 'gcs'],
  variables: ['GOOGLE_', 'GCLOUD_', 'CLOUDSDK_'],
  classes: CLASSES,
  parse(address: Address, settings: StorageSettings): GcsSpec {
    refuseSettings(settings, 'a bucket', ['region', 'storageClass', 'encryption', 'credentials']);
    checkClass(settings.storageClass, CLASSES);
    const query = queryOf(address.query);
    const { region, encryption, credentials } = settings;
    return {
      kind: 'gcs',
      bucket: bucketOf(address),
      prefix: prefixOf(address.path),
      endpoint: query.endpoint === undefined ? GOOGLE : endpointOf(query.endpoint),
      ...(query.project === undefined ? {} : { project: query.project }),
      ...(region === undefined ? {} : { region: region.toLowerCase() }),
      ...(encryption?.mode === 'kms' && encryption.keyId !== undefined
        ? { kmsKey: kmsKeyOf(encryption.keyId) }
        : {}),
      ...(credentials === undefined ? {} : { credentials: readCredentials(credentials) }),
    };
  },
  host: spec => new URL(spec.endpoint).hostname,
  location(spec) {
    const { host } = new URL(spec.endpoint);
    const place = placeOf(spec);
    return host.endsWith('.googleapis.com') ? place : `${place} at ${host}`;
  },
  async open(spec) {
    const { openGcs } = await import('./open.ts');
    return openGcs(spec);
  },
  lifecycle: gcsLifecycle,
};

const QUERY_KEYS = ['project', 'endpoint'] as const;

function queryOf(query: ReadonlyMap<string, string>): { project?: string; endpoint?: string } {
  for (const [key, value] of query) {
    if (!(QUERY_KEYS as readonly string[]).includes(key))
      throw wrongAddress(
        `has ${key}= in its address, which gs:// does not know`,
        `known are ${QUERY_KEYS.join(', ')}`,
      );
    if (value === '')
      throw wrongAddress(`has an empty ${key}= in its address`, 'give it a value or leave it out');
  }
  return Object.fromEntries(query);
}

/** https://docs.cloud.google.com/storage/docs/buckets#naming */
function bucketOf({ host, user, port }: Address): string {
  if (host === '') throw wrongAddress('has no bucket', 'write it as gs://bucket/folder');
  if (user !== undefined || port !== undefined)
    throw wrongAddress('has a user or a port in its address', 'write it as gs://bucket/folder?endpoint=…');
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(host))
    throw wrongAddress(
      `is in ${host}, which is no name of a bucket`,
      'such a name has 3 to 222 lower-case letters, digits, dots, dashes and underscores',
    );
  return host;
}

function prefixOf(path: string): string {
  if (/[\p{Cc}#*?[\]]/u.test(path) || path.split('/').some(part => /^\.\.?$/.test(part)))
    throw wrongAddress(
      'has a folder that a bucket should not have',
      'leave out . and .. as well as #, *, ?, [ and ]',
    );
  return path;
}

/** Tokens go over this address, so only a server on this machine may be spoken to without TLS. */
function endpointOf(written: string): string {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  const local = url !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  const usable = url?.protocol === 'https:' || (url?.protocol === 'http:' && local);
  if (!url || !usable || url.username !== '' || url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw wrongAddress(
      'has an endpoint that is not the https:// address of a server',
      'write endpoint=https://storage.europe-west3.rep.googleapis.com, or leave it out',
    );
  return url.origin;
}

function kmsKeyOf(keyId: string): string {
  if (/^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/.test(keyId)) return keyId;
  throw usageError(
    'STORAGE_SETTING',
    `is to be encrypted with ${keyId}, which is no name of a Cloud KMS key`,
    'write it as projects/PROJECT/locations/PLACE/keyRings/RING/cryptoKeys/KEY',
  );
}

function wrongAddress(what: string, hint: string) {
  return usageError('STORAGE_ADDRESS', what, hint);
}
