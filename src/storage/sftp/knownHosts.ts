import { createHash, createHmac } from 'node:crypto';

/** One line of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
export interface KnownHost {
  /** Where it stands: `~/.ssh/known_hosts line 3`. */
  where: string;
  /** A comma-separated list of patterns, or one hashed name. */
  hosts: string;
  revoked: boolean;
  /** `ssh-ed25519`. */
  type: string;
  key: Buffer;
}

/** Lines that can't be read, and those for certificates (`@cert-authority`), count for nothing. */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split('\n').flatMap((line, index) => {
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [hosts, type, key] = words;
    if (hosts === undefined || hosts.startsWith('#') || type === undefined || key === undefined) return [];
    if (marker !== undefined && marker !== '@revoked') return [];
    const where = `${file} line ${index + 1}`;
    return [{ where, hosts, type, key: Buffer.from(key, 'base64'), revoked: marker !== undefined }];
  });
}

/** What a host is called in known_hosts. */
export function knownName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** Types of the keys that are known of a host: it has to be asked for one of these. */
export function knownTypes(known: readonly KnownHost[], name: string): string[] {
  return known.filter(each => !each.revoked && covers(each, name)).map(each => each.type);
}

export type Verdict =
  | { is: 'known' }
  /** No key of this host is known. */
  | { is: 'unknown' }
  /** Others are known. */
  | { is: 'changed'; where: string[] }
  | { is: 'revoked'; where: string };

export function judgeHostKey(known: readonly KnownHost[], name: string, key: Buffer): Verdict {
  const revoked = known.find(each => each.revoked && each.key.equals(key) && covers(each, name));
  if (revoked) return { is: 'revoked', where: revoked.where };
  const keys = known.filter(each => !each.revoked && covers(each, name));
  if (keys.length === 0) return { is: 'unknown' };
  if (keys.some(each => each.key.equals(key))) return { is: 'known' };
  return { is: 'changed', where: keys.map(each => each.where) };
}

/** `SHA256:…`, as ssh-keygen -l shows it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The type that a key says it has, in its first string (RFC 4253, section 6.6). */
export function keyType(key: Buffer): string {
  return key.toString('latin1', 4, 4 + key.readUInt32BE(0));
}

function covers({ hosts }: KnownHost, name: string): boolean {
  if (hosts.startsWith('|')) return hashes(hosts, name);
  const patterns = hosts.toLowerCase().split(',');
  // A negated pattern that fits rules the whole line out.
  if (patterns.some(pattern => pattern.startsWith('!') && fits(pattern.slice(1), name))) return false;
  return patterns.some(pattern => fits(pattern, name));
}

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt. */
function hashes(hashed: string, name: string): boolean {
  const [, version, salt, hash] = hashed.split('|');
  if (version !== '1' || !salt || !hash) return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
}

/** `*` stands for any characters and `?` for one; nothing else is special. */
function fits(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[^\w*?]/g, mark => `\\${mark}`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(name);
}
