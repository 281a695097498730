/** A throw-away PostgreSQL server for this folder's tests: own folder, own socket, no network. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { invariant } from '../../../src/base/errors.ts';

export const BIN = '/usr/lib/postgresql/15/bin';
export const isServerInstalled = existsSync(`${BIN}/postgres`);
const START_TIMEOUT_MS = 30_000;

export class ScratchServer {
  readonly folder: string;
  readonly #user: { uid?: number; gid?: number };
  readonly env: NodeJS.ProcessEnv;
  #process: ChildProcess | null = null;

  private constructor(folder: string, user: { uid?: number; gid?: number }) {
    this.folder = folder;
    this.#user = user;
    this.env = { ...process.env, PGHOST: folder, PGUSER: 'postgres', PGOPTIONS: '', LC_ALL: 'C.UTF-8' };
  }

  static async start(): Promise<ScratchServer> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-export-'));
    const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    // A server refuses to run as root.
    const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
    await chmod(folder, 0o755);
    if (user.uid !== undefined) await chown(folder, user.uid, user.gid!);
    const server = new ScratchServer(folder, user);
    await server.#run();
    return server;
  }

  async #run(): Promise<void> {
    const data = join(this.folder, 'data');
    const initialize = ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '-N'];
    execFileSync(join(BIN, 'initdb'), initialize, { ...this.#user, stdio: 'ignore', cwd: this.folder });
    const settings = ['listen_addresses=', 'fsync=off', 'wal_level=logical', 'max_connections=20'];
    const options = settings.flatMap(setting => ['-c', setting]);
    this.#process = spawn(join(BIN, 'postgres'), ['-D', data, '-k', this.folder, ...options], {
      ...this.#user,
      cwd: this.folder,
      stdio: 'ignore',
    });
    for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end; await sleep(100)) {
      try {
        this.tool('psql', ['-d', 'postgres', '-c', 'SELECT 1']);
        return;
      } catch {
        if (this.#process.exitCode !== null) break;
      }
    }
    await this.stop();
    return invariant(false, 'the scratch server did not start');
  }

  /** Runs a client tool to its end and gives what it printed; throws where it fails. */
  tool(name: string, args: string[], input?: string | Buffer): string {
    return this.toolBytes(name, args, input).toString();
  }

  toolBytes(name: string, args: string[], input?: string | Buffer): Buffer {
    const stdio: ['pipe' | 'ignore', 'pipe', 'pipe'] = [
      input === undefined ? 'ignore' : 'pipe',
      'pipe',
      'pipe',
    ];
    return execFileSync(join(BIN, name), args, { env: this.env, input, stdio, maxBuffer: 1 << 28 });
  }

  sql(database: string, statement: string): string {
    return this.tool('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', statement]).trim();
  }

  /** What COPY … TO STDOUT gives, in a file. */
  async copyToFile(database: string, statement: Buffer, file: string): Promise<void> {
    const child = spawn(join(BIN, 'psql'), ['-Xq', '-v', 'ON_ERROR_STOP=1', '-d', database], {
      env: this.env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin!.end(Buffer.concat([statement, Buffer.from(';\n')]));
    const finished = once(child.stdout!.pipe(createWriteStream(file)), 'finish');
    const [code] = await once(child, 'close');
    await finished;
    invariant(code === 0, `${statement.toString()} failed`);
  }

  async mkdir(name: string): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(path);
    if (this.#user.uid !== undefined) await chown(path, this.#user.uid, this.#user.gid!);
    return path;
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child && child.exitCode === null) {
      child.kill('SIGINT');
      await once(child, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
