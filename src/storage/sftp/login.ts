import { connect, type Socket } from 'node:net';
import { homedir, userInfo } from 'node:os';
import type { Client, SshError } from 'ssh2';
import { TidemarkError } from '../../base/errors.ts';
import { loadSdk } from '../sdk.ts';
import { type Attempts, attemptsOf } from './authentication.ts';
import { LostError } from './channel.ts';
import { authenticationFailed, unreachable } from './failure.ts';
import { HostKeyCheck } from './hostKey.ts';
import { type SftpSpec, sftpLocation } from './spec.ts';

export interface Login {
  client: Client;
  socket: Socket;
}

/** So that routers on the way don't forget the connection. */
const TCP_KEEPALIVE_MS = 30_000;

/**
 * Connects, checks the host's key, and logs in; each of the two takes at most `limitMs`.
 *
 * @param reached the host has answered before: then that it can't be reached is temporary.
 */
export async function logIn(spec: SftpSpec, limitMs: number, reached: boolean): Promise<Login> {
  const { default: ssh2 } = await loadSdk(() => import('ssh2'), 'ssh2', 'sftp:// storages');
  const home = homedir();
  const hostKeys = await HostKeyCheck.load(spec, home);
  const username = spec.user ?? userInfo().username;
  const around = { home, agentSocket: process.env.SSH_AUTH_SOCK };
  const attempts = await attemptsOf(spec.credentials, username, around, ssh2.utils.parseKey);
  const socket = await reach(spec, limitMs, reached);
  const client = new ssh2.Client();
  try {
    await authenticate(client, { spec, socket, username, limitMs, hostKeys, attempts });
    return { client, socket };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function reach({ host, port }: SftpSpec, limitMs: number, reached: boolean): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(unreachable(host, port, error, reached));
    };
    const silent = () => fail(Object.assign(new LostError('it does not answer'), { code: 'ETIMEDOUT' }));
    const timer = setTimeout(silent, limitMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

interface Dialogue {
  spec: SftpSpec;
  socket: Socket;
  username: string;
  limitMs: number;
  hostKeys: HostKeyCheck;
  attempts: Attempts;
}

/** Resolves when we are logged in. The client has its listener for errors from then on. */
function authenticate(client: Client, dialogue: Dialogue): Promise<void> {
  const { spec, socket, username, limitMs, hostKeys, attempts } = dialogue;
  const left = [...attempts.usable];
  const tried: string[] = [];
  let accepted: string[] | null = null;
  let fault: TidemarkError | undefined;
  const refused = () => authenticationFailed(`${username}@${spec.host}`, attempts, tried, accepted);
  return new Promise((resolve, reject) => {
    client.on('ready', () => resolve());
    client.on('close', () => reject(fault ?? closedEarly(spec)));
    client.on('error', (error: SshError) => {
      // ssh2 goes on by itself after these: an agent that fails, a key that can't sign.
      if (error.level === 'agent') attempts.unusable.push(`the agent failed: ${error.message}`);
      else if (error.level === 'client-authentication' && !fault) attempts.unusable.push(error.message);
      else reject(fault ?? (tried.length > 0 && isGoodbye(error) ? refused() : handshakeError(spec, error)));
    });
    client.connect({
      sock: socket,
      username,
      readyTimeout: limitMs,
      algorithms: { serverHostKey: hostKeys.algorithms },
      hostVerifier: key => {
        fault = hostKeys.fault(key);
        return fault === undefined;
      },
      authHandler: methods => {
        // The first question is what the server takes at all.
        if (methods === null) return { type: 'none', username };
        accepted = methods;
        for (let next = left.shift(); next; next = left.shift()) {
          if (!methods.includes(next.needs)) continue;
          tried.push(next.label);
          return next.method;
        }
        fault = refused();
        return false;
      },
    });
  });
}

/** The server said why it ends the connection: too many keys tried, say. */
function isGoodbye(error: SshError): boolean {
  return typeof error.code === 'number';
}

function closedEarly(spec: SftpSpec): TidemarkError {
  return new TidemarkError(
    'STORAGE_LOST',
    `${spec.host} closed the connection before we were logged in`,
    'it may have too many connections at once (MaxStartups in sshd_config); run the command again',
    { retry: {} },
  );
}

function handshakeError(spec: SftpSpec, error: SshError): TidemarkError {
  if (error.level === 'client-timeout') {
    const hint = 'is it an SSH server that listens there? run the command again';
    const message = `${spec.host} did not go on with the SSH handshake`;
    return new TidemarkError('STORAGE_TIMEOUT', message, hint, { cause: error, retry: {} });
  }
  if (error.level === 'client-socket' || /Connection lost/.test(error.message)) return closedEarly(spec);
  return new TidemarkError(
    'SSH_FAILED',
    `no SSH connection to ${sftpLocation(spec)}: ${error.message}`,
    'is it an SSH server that listens there, and not one too old for today’s algorithms?',
    { cause: error },
  );
}
