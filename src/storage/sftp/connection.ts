import { invariant } from '../../base/errors.ts';
import type { SftpChannel } from './channel.ts';
import { logIn } from './login.ts';
import { SftpSession } from './session.ts';
import type { SftpSpec } from './spec.ts';
import { TIMING, type Timing } from './timing.ts';

/** Operations at once; each has at most 2 MiB on their way. */
const OPERATIONS = 32;

/** The connection to a server: made when it is first needed, and again after it was lost. */
export class SftpConnection {
  readonly #spec: SftpSpec;
  readonly #timing: Timing;
  readonly #queue: (() => void)[] = [];
  #running = 0;
  #session: Promise<SftpSession> | undefined;
  #reached = false;
  #closed = false;

  constructor(spec: SftpSpec, timing: Partial<Timing> = {}) {
    this.#spec = spec;
    this.#timing = { ...TIMING, ...timing };
  }

  /** Gives the work a channel, when it is its turn. It must not wait for other work. */
  async use<T>(work: (channel: SftpChannel) => Promise<T>): Promise<T> {
    if (this.#running >= OPERATIONS) await new Promise<void>(go => this.#queue.push(go));
    else this.#running++;
    try {
      const session = await this.#connected();
      return await session.use(work);
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const session = await this.#session?.catch(() => undefined);
    await session?.close();
  }

  async #connected(): Promise<SftpSession> {
    invariant(!this.#closed, 'a storage was used after it was closed');
    this.#session ??= this.#connect();
    const known = this.#session;
    const session = await known;
    if (!session.isLost) return session;
    // Of those that find it lost at the same time, the first connects anew.
    if (this.#session === known) this.#session = undefined;
    this.#session ??= this.#connect();
    return this.#session;
  }

  #connect(): Promise<SftpSession> {
    const attempt = logIn(this.#spec, this.#timing.connectMs, this.#reached).then(login => {
      this.#reached = true;
      return new SftpSession(login, this.#spec, this.#timing);
    });
    attempt.catch(() => {
      if (this.#session === attempt) this.#session = undefined;
    });
    return attempt;
  }
}
