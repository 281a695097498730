import { isIP } from 'node:net';

/** Where a copy of the data lies, the database itself being one of them. */
export interface Site {
  /** What it lies on, for people; two of the same are lost together when that breaks: `the disk of this machine`. */
  medium: string;
  /** Whose place that is: OWN, or a provider, or a host on the internet. One disaster, or one lost account, can take all of it. */
  owner: string;
}

/** This machine and what it reaches without leaving its own network. */
export const OWN = 'your own network';

/** Providers that answer under more than one name. */
const PROVIDERS: [RegExp, string][] = [
  [/(^|\.)amazonaws\.com(\.cn)?$/, 'AWS'],
  [/(^|\.)(windows\.net|azure\.com)$/, 'Azure'],
  [/(^|\.)googleapis\.com$/, 'Google Cloud'],
  [/(^|\.)(digitaloceanspaces\.com|ondigitalocean\.com)$/, 'DigitalOcean'],
];
const OWN_NAMES = /^localhost$|\.(local|lan|internal|intranet|localdomain|home\.arpa)$/;
const OWN_V4 =
  /^(127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|0\.)/;
const OWN_V6 = /^(::1?$|f[cd]|fe[89ab]|::ffff:(127|10|192\.168)\.)/;

/** Who owns a host, by its name or address: OWN where no packet leaves for the internet, so far as that can be told. */
export function ownerOf(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^\[|\]$/g, '');
  const version = isIP(name);
  if (version === 4) return OWN_V4.test(name) ? OWN : name;
  if (version === 6) return OWN_V6.test(name) ? OWN : name;
  if (/^[/@]/.test(name) || !name.includes('.') || OWN_NAMES.test(name)) return OWN;
  const provider = PROVIDERS.find(([pattern]) => pattern.test(name));
  return provider ? provider[1] : name.split('.').slice(-2).join('.');
}

/** A folder; `fileSystem` is where its own file system is mounted, null where it is on the one of this machine. */
export function siteOfFolder(fileSystem: string | null): Site {
  return { medium: fileSystem === null ? THIS_DISK : `the file system at ${fileSystem}`, owner: OWN };
}

/** What a host keeps: a database, files on a server, or the objects of a service. */
export function siteOfHost(host: string, what: 'database' | 'files' | 'objects'): Site {
  const owner = ownerOf(host);
  if (THIS_MACHINE.test(host)) return { medium: THIS_DISK, owner };
  if (owner === OWN || what === 'files') return { medium: `the server ${host}`, owner };
  return {
    medium: what === 'database' ? `the database's disks at ${owner}` : `object storage at ${owner}`,
    owner,
  };
}

const THIS_DISK = 'the disk of this machine';
/** A path is that of a socket. */
const THIS_MACHINE = /^(\/|@|localhost\.?$|127\.|\[?::1\]?$)/i;
