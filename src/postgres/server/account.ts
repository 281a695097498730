import { readFileSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { TidemarkError } from '../../base/errors.ts';

/** An operating system user that PostgreSQL may run under. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root; these exist on about every system and own little. */
const UNPRIVILEGED = ['postgres', 'nobody'];
const ROOT = 0;

/** The user to start a server as when we are root; null when we are not, and it runs as ourselves. */
export function serverAccount(passwd = '/etc/passwd'): Account | null {
  if (process.geteuid?.() !== ROOT) return null;
  const users = readFileSync(passwd, 'utf8')
    .split('\n')
    .map(line => line.split(':'));
  for (const name of UNPRIVILEGED) {
    const user = users.find(fields => fields[0] === name);
    if (user && Number(user[2]) !== ROOT) return { name, uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new TidemarkError(
    'NO_SERVER_ACCOUNT',
    'cannot start a server as root, and the system has no unprivileged user for it',
    `run this as an ordinary user, or add one called ${UNPRIVILEGED[0]}`,
  );
}

/**
 * Whether the account may read and enter (or run) a path, judged by the mode bits of it and of every folder above it.
 * Access lists are not looked at: where they grant more, the cost is a needless copy.
 */
export function mayUse(path: string, account: Account | null): boolean {
  if (account === null) return true;
  try {
    const real = realpathSync(path);
    if (!hasBits(real, account, 0o5)) return false;
    for (let folder = dirname(real); ; folder = dirname(folder)) {
      if (!hasBits(folder, account, 0o1)) return false;
      if (folder === dirname(folder)) return true;
    }
  } catch {
    return false;
  }
}

function hasBits(path: string, account: Account, bits: number): boolean {
  const found = statSync(path);
  const shift = found.uid === account.uid ? 6 : found.gid === account.gid ? 3 : 0;
  return ((found.mode >> shift) & bits) === bits;
}

/** A folder for temporary things that the account can reach too: root's own TMPDIR may be closed to it. */
export function tempRoot(account: Account | null): string {
  const root = [tmpdir(), '/tmp', '/var/tmp'].find(folder => mayUse(folder, account));
  if (root !== undefined) return root;
  throw new TidemarkError(
    'NO_TEMP_FOLDER',
    `the user ${account?.name ?? 'running this'} can reach no temporary folder`,
    'set TMPDIR to a folder that every user may enter',
  );
}
