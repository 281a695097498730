import type { SshError } from 'ssh2';
import { faultError, TidemarkError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../damage.ts';
import type { Attempts } from './authentication.ts';
import { hasStatus, LostError, STATUS } from './channel.ts';

/** What failed, as a TidemarkError. `what`: "can't write packs/1 in sftp://…". */
export function sftpError(error: unknown, what: string): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof LostError) {
    const code = error.silent ? 'STORAGE_TIMEOUT' : 'STORAGE_LOST';
    const hint = 'is the server still there, and the way to it? run the command again';
    return new TidemarkError(code, `${what}: ${reason}`, hint, { cause: error, retry: {} });
  }
  if (hasStatus(error, STATUS.noSuchFile)) {
    const hint = `the object is gone; ${DAMAGE_HINT}`;
    return faultError('OBJECT_MISSING', `${what}: ${reason}`, hint, error);
  }
  const [code, hint] = hasStatus(error, STATUS.permissionDenied) ? DENIED : REFUSED;
  return new TidemarkError(code, `${what}: ${reason}`, hint, { cause: error });
}

const DENIED = [
  'STORAGE_DENIED',
  'give the user on the server read and write permission on the folder',
] as const;
/** The protocol has no more words than "failure" for all the rest. */
const REFUSED = [
  'STORAGE',
  "the server says no more; is the folder's disk full, a quota used up, or mounted read-only?",
] as const;

/** A prune writes before it removes, and finds no room here either. */
const FULL =
  "remove something else from that disk, or enlarge it: with a few megabytes 'tidemark prune' can work, which frees what no snapshot needs, a day after it was found ('tidemark forget' gives snapshots up first)";

export function fullError(what: string, kind: 'space' | 'files'): TidemarkError {
  return new TidemarkError(
    'STORAGE_FULL',
    `${what}: ${kind === 'space' ? 'the disk of the server is full' : 'the file system of the server takes no more files'}`,
    FULL,
  );
}

/** Errors of the way to the server, before anything was said. `reached`: it answered before, so that it is away for now. */
export function unreachable(host: string, port: number, error: Error, reached: boolean): TidemarkError {
  const { code } = error as SshError;
  // A system says several at once where a name has several addresses.
  const inner = error instanceof AggregateError ? (error.errors[0] as SshError | undefined) : undefined;
  const why = WHYS[String(code ?? inner?.code)] ?? (error.message || String(code));
  const passing = reached || PASSING.has(String(code ?? inner?.code));
  return new TidemarkError(
    'STORAGE_UNREACHABLE',
    `can't reach ${host} on port ${port}: ${why}`,
    'see the name and the port in the address of the repository, and whether a firewall is in between',
    { cause: error, retry: passing ? {} : undefined },
  );
}

const WHYS: Record<string, string> = {
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'nothing listens there',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to its network',
  ETIMEDOUT: 'it does not answer',
  ECONNRESET: 'it closed the connection',
};
/** These come and go by themselves; the others are more often a slip in the address. */
const PASSING = new Set(['EAI_AGAIN', 'ETIMEDOUT', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH']);

/**
 * @param tried labels of what the server turned down.
 * @param accepted what the server takes, by its own word; null where it ended the connection before saying so.
 */
export function authenticationFailed(
  login: string,
  { unusable }: Attempts,
  tried: string[],
  accepted: string[] | null,
): TidemarkError {
  const parts = [tried.length > 0 ? `tried ${tried.join(', ')}` : 'there was nothing to try'];
  parts.push(...unusable);
  if (accepted) parts.push(`the server takes ${accepted.join(', ') || 'nothing more'}`);
  return new TidemarkError(
    'SSH_LOGIN_REFUSED',
    `${login} may not log in: ${parts.join('; ')}`,
    "add your public key to ~/.ssh/authorized_keys there ('ssh-copy-id'), or say which key or password to use under credentials:",
  );
}
