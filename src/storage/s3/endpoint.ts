import { isIP } from 'node:net';
import { usageError } from '../../base/errors.ts';

/**
 * The origin of a server that speaks S3: `https://host`, from `host`, `host:port` or a URL. Without TLS everybody on the
 * way sees names and sizes of objects and can take requests over, so that plain http has to be asked for, except on loopback.
 */
export function readEndpoint(written: string, insecure: boolean): string {
  const hint = 'write a host or a URL: endpoint=https://s3.example.com:9000';
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(written) ? written : `https://${written}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.hostname === '' || url.username !== '' || url.password !== '')
    throw usageError('STORAGE_ADDRESS', 'has an endpoint that is no host', hint);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw usageError('STORAGE_ADDRESS', `has an endpoint on ${url.protocol}//`, hint);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw usageError(
      'STORAGE_ADDRESS',
      'has an endpoint with a path',
      `the bucket goes before the ?; ${hint}`,
    );
  if (url.protocol === 'http:' && !insecure && !isLoopback(url.hostname)) {
    throw usageError(
      'STORAGE_INSECURE',
      `has the endpoint ${url.origin}, which is not encrypted`,
      'write https://, or add &insecure=true where nobody else is on that network',
    );
  }
  return url.origin;
}

/** Whether a host is this machine, by its name alone. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}

/** Providers whose hosts name the region; the signature of a request needs it, and some refuse a wrong one. */
const REGIONS: readonly RegExp[] = [
  /^s3\.([a-z0-9-]+)\.backblazeb2\.com$/,
  /^([a-z0-9-]+)\.digitaloceanspaces\.com$/,
  /^([a-z0-9-]+)\.your-objectstorage\.com$/,
  /^s3\.([a-z0-9-]+)\.scw\.cloud$/,
  /^s3\.([a-z0-9-]+)\.wasabisys\.com$/,
  /^s3\.([a-z0-9-]+)\.io\.cloud\.ovh\.(?:net|us)$/,
  /^s3\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$/,
];
const R2 = /\.r2\.cloudflarestorage\.com$/;
/** What servers take that have no regions, or none that a request has to name. */
const ANY_REGION = 'us-east-1';

/** The region of an endpoint that is written without one. */
export function regionOfEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined;
  const { hostname } = new URL(endpoint);
  if (R2.test(hostname)) return 'auto';
  for (const pattern of REGIONS) {
    const [, region] = pattern.exec(hostname) ?? [];
    if (region !== undefined) return region;
  }
  return ANY_REGION;
}
