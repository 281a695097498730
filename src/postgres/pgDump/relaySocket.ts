/** Where a native pg_dump reaches the relay: a Unix socket in a folder that only we may enter. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeAtExit } from '../../base/disposal.ts';
import { TidemarkError } from '../../base/errors.ts';
import type { Relay } from './relay.ts';

/** Any number will do, it is part of the file's name. */
const PORT = 5432;
/** A socket's path has at most this many bytes on the systems that there are (sun_path: 104 to 108, and a NUL). */
const PATH_MAX_BYTES = 100;

export class RelaySocket {
  readonly folder: string;
  readonly port = PORT;
  readonly #server: Server;
  readonly #relay: Relay;
  readonly #removed: () => void;
  #connection: Socket | undefined;

  static async listen(relay: Relay): Promise<RelaySocket> {
    const folder = await privateFolder();
    const socket = new RelaySocket(folder, relay);
    try {
      await socket.#listen();
    } catch (error) {
      await socket.close();
      throw error;
    }
    return socket;
  }

  private constructor(folder: string, relay: Relay) {
    this.folder = folder;
    this.#relay = relay;
    this.#removed = removeAtExit(folder);
    this.#server = createServer(connection => this.#accept(connection));
  }

  /** pg_dump has ended, or is to end. */
  async close(): Promise<void> {
    this.#connection?.destroy();
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve));
    await rm(this.folder, { recursive: true, force: true });
    this.#removed();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path.join(this.folder, `.s.PGSQL.${PORT}`), () => resolve());
    });
  }

  /** The first connection is pg_dump's; a second one would ask to cancel what the first does, and is not needed. */
  #accept(connection: Socket): void {
    connection.on('error', () => {});
    if (this.#connection) {
      connection.destroy();
      return;
    }
    this.#connection = connection;
    this.#relay.output = bytes => {
      if (bytes === null) {
        connection.destroy();
        return undefined;
      }
      // A copy: the bytes lie in the server socket's only buffer.
      if (connection.destroyed || connection.write(Buffer.from(bytes))) return undefined;
      return new Promise(resolve => {
        const done = () => {
          connection.off('drain', done).off('close', done);
          resolve();
        };
        connection.on('drain', done).on('close', done);
      });
    };
    connection.on('data', bytes => this.#relay.take(bytes));
  }
}

/** Mode 0700. Where the usual folder's name is too long for a socket, or nothing can be written there, in another. */
async function privateFolder(): Promise<string> {
  let cause: unknown;
  for (const parent of new Set([tmpdir(), '/tmp', '/dev/shm'])) {
    const prefix = path.join(parent, 'tidemark-');
    if (Buffer.byteLength(`${prefix}XXXXXX/.s.PGSQL.${PORT}`) > PATH_MAX_BYTES) continue;
    try {
      return await mkdtemp(prefix);
    } catch (error) {
      cause ??= error;
    }
  }
  throw new TidemarkError(
    'NO_TEMPORARY_FOLDER',
    `no folder for the socket that pg_dump connects to can be made in ${tmpdir()} or /tmp`,
    'let TMPDIR name a folder that can be written and has a short path',
    { cause },
  );
}
