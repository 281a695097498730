import { join } from 'node:path';
import type { AuthMethod, default as ssh2 } from 'ssh2';
import { type TidemarkError, usageError } from '../../base/errors.ts';
import { readSmallFile } from '../../base/smallFile.ts';
import type { SftpCredentials } from './spec.ts';

/** Where a user's keys and agent are. */
export interface Surroundings {
  home: string;
  /** Of the agent; absent where none runs. */
  agentSocket?: string;
}

/** One way to show who we are. */
export interface Attempt {
  /** For people: `the agent`, `~/.ssh/id_rsa`. */
  label: string;
  /** What a server calls it. */
  needs: 'publickey' | 'password' | 'keyboard-interactive';
  method: AuthMethod;
}

export interface Attempts {
  usable: Attempt[];
  /** What was there and can't be used, and why. */
  unusable: string[];
}

/** ssh(1) tries them in another order; an agent may hold any of them. */
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/**
 * The ways to log in, in order: the key file and the password that are given, and nothing else then; otherwise the agent, then
 * the keys in ~/.ssh that are there.
 *
 * @throws TidemarkError of kind usage where a key file that is given can't be used.
 */
export async function attemptsOf(
  credentials: SftpCredentials,
  username: string,
  { home, agentSocket }: Surroundings,
  parseKey: (typeof ssh2)['utils']['parseKey'],
): Promise<Attempts> {
  const { privateKeyFile, passphrase, password } = credentials;
  const usable: Attempt[] = [];
  const unusable: string[] = [];
  const publicKey = (label: string, key: Buffer): Attempt => ({
    label,
    needs: 'publickey',
    method: { type: 'publickey', username, key, passphrase },
  });
  if (privateKeyFile !== undefined) {
    const file = fromHome(privateKeyFile, home);
    const key = await readKeyFile(file);
    const fault = faultOf(parseKey(key, passphrase));
    if (fault) throw keyFault(file, fault);
    usable.push(publicKey(file, key));
  }
  if (password !== undefined) usable.push(...withPassword(username, password));
  if (privateKeyFile !== undefined || password !== undefined) return { usable, unusable };

  if (agentSocket) {
    const method: AuthMethod = { type: 'agent', username, agent: agentSocket };
    usable.push({ label: 'the agent', needs: 'publickey', method });
  } else unusable.push('no agent runs (SSH_AUTH_SOCK is not set)');
  for (const name of DEFAULT_KEYS) {
    const label = `~/.ssh/${name}`;
    const found = await readSmallFile(join(home, '.ssh', name)).catch(() => undefined);
    if (found === undefined) continue;
    const key = found.bytes;
    const fault = faultOf(parseKey(key, passphrase));
    if (fault) unusable.push(`${label} ${FAULTS[fault].found}`);
    else usable.push(publicKey(label, key));
  }
  return { usable, unusable };
}

/** `~/x` as a path. */
export function fromHome(path: string, home: string): string {
  return path.startsWith('~/') ? join(home, path.slice(2)) : path;
}

/** Servers ask for a password in one of two ways. */
function withPassword(username: string, password: string): Attempt[] {
  return [
    { label: 'the password', needs: 'password', method: { type: 'password', username, password } },
    {
      label: 'the password (keyboard-interactive)',
      needs: 'keyboard-interactive',
      method: {
        type: 'keyboard-interactive',
        username,
        // Nothing but the question for a password is answered with it.
        prompt: (_name, _instructions, _language, prompts, finish) =>
          finish(prompts.length === 1 && !prompts[0]!.echo ? [password] : []),
      },
    },
  ];
}

async function readKeyFile(file: string): Promise<Buffer> {
  try {
    return (await readSmallFile(file)).bytes;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw usageError(
      'SSH_KEY_UNREADABLE',
      code === 'ENOENT' ? `there is no key file ${file}` : `the key file ${file} can't be read: ${code}`,
      'see private_key_file under credentials; leave it out to use the agent or the keys in ~/.ssh',
      cause,
    );
  }
}

type Fault = keyof typeof FAULTS;

const FAULTS = {
  encrypted: {
    found: 'is encrypted, and there is no passphrase',
    hint: 'put its passphrase under credentials, from a variable; or add the key to an agent and leave private_key_file out',
  },
  passphrase: { found: 'does not open with the passphrase', hint: 'see passphrase under credentials' },
  format: {
    found: 'holds no private key that can be used',
    hint: "give the private key, not the .pub file; 'ssh-keygen -p -f FILE' writes older formats anew",
  },
} as const;

/** By the words of ssh2's keyParser.js, which has no codes. */
function faultOf(parsed: ReturnType<(typeof ssh2)['utils']['parseKey']>): Fault | undefined {
  if (parsed instanceof Error) {
    if (/no passphrase given/.test(parsed.message)) return 'encrypted';
    if (/passphrase|integrity check|bad decrypt/i.test(parsed.message)) return 'passphrase';
    return 'format';
  }
  const [key] = [parsed].flat();
  return key?.isPrivateKey() ? undefined : 'format';
}

function keyFault(file: string, fault: Fault): TidemarkError {
  const { found, hint } = FAULTS[fault];
  return usageError('SSH_KEY_UNUSABLE', `the key file ${file} ${found}`, hint);
}
