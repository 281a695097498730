import { once } from 'node:events';
import type { Sftp } from 'ssh2';
import { TidemarkError } from '../../base/errors.ts';
import { LostError, SftpChannel } from './channel.ts';
import type { Login } from './login.ts';
import { type SftpSpec, sftpLocation } from './spec.ts';
import type { Timing } from './timing.ts';

/** A server works on one request of a channel at a time, and an fsync takes long. sshd allows 10 (MaxSessions). */
const CHANNELS = 4;
const GOODBYE_MS = 2_000;

interface Slot {
  /** Operations that use it. */
  users: number;
  opening: Promise<SftpChannel>;
  channel?: SftpChannel;
}

/**
 * One connection that is logged in, until it is lost. It keeps the process alive only while something is asked; while it
 * is idle it asks a small thing now and then, so that nobody on the way forgets it.
 */
export class SftpSession {
  readonly #login: Login;
  readonly #spec: SftpSpec;
  readonly #timing: Timing;
  readonly #alive: NodeJS.Timeout;
  #slots: Slot[] = [];
  #limit = CHANNELS;
  /** Those who wait for a channel. */
  readonly #opening = new Set<(error: Error) => void>();
  #busy = 0;
  #lost: LostError | undefined;

  constructor(login: Login, spec: SftpSpec, timing: Timing) {
    this.#login = login;
    this.#spec = spec;
    this.#timing = timing;
    const { client, socket } = login;
    client.on('error', (error: Error) => {
      this.#lose(new LostError(`the connection broke: ${error.message}`));
      socket.destroy();
    });
    client.on('close', () => this.#lose(new LostError('the server closed the connection')));
    socket.unref();
    this.#alive = setInterval(() => this.#keepAlive(), timing.keepAliveMs).unref();
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Gives the work the channel that has the least to do. */
  async use<T>(work: (channel: SftpChannel) => Promise<T>): Promise<T> {
    const slot = this.#slot();
    slot.users++;
    try {
      return await work(await slot.opening);
    } finally {
      slot.users--;
    }
  }

  async close(): Promise<void> {
    const { client, socket } = this.#login;
    this.#lose(new LostError('the storage was closed'));
    if (socket.destroyed) return;
    // An error on the way out is as good a way to end.
    const closed = once(socket, 'close').catch(() => {});
    const timer = setTimeout(() => socket.destroy(), GOODBYE_MS);
    client.end();
    await closed;
    clearTimeout(timer);
  }

  #slot(): Slot {
    this.#slots = this.#slots.filter(slot => !slot.channel?.isLost);
    const idle = this.#slots.find(slot => slot.users === 0);
    if (idle) return idle;
    if (this.#slots.length < this.#limit) {
      const slot: Slot = { users: 0, opening: this.#fill(() => slot) };
      this.#slots.push(slot);
      return slot;
    }
    return this.#slots.reduce((least, slot) => (slot.users < least.users ? slot : least));
  }

  /** A channel; or, where the server gives no more of them, another's. */
  async #fill(own: () => Slot): Promise<SftpChannel> {
    await undefined; // until the slot is among the others
    try {
      own().channel = await this.#open();
      return own().channel!;
    } catch (error) {
      this.#slots = this.#slots.filter(slot => slot !== own());
      if (error instanceof LostError || this.#slots.length === 0) throw error;
      this.#limit = this.#slots.length;
      return this.#slots[0]!.opening;
    }
  }

  async #open(): Promise<SftpChannel> {
    if (this.#lost) throw this.#lost;
    this.#ask(true);
    let stop: (error: Error) => void = () => {};
    const timer = setTimeout(() => this.#silent(), this.#timing.connectMs);
    try {
      const sftp = await new Promise<Sftp>((resolve, reject) => {
        stop = reject;
        this.#opening.add(stop);
        this.#login.client.sftp((error, opened) => (error ? reject(error) : resolve(opened)));
      });
      return new SftpChannel(sftp, {
        silenceMs: this.#timing.silenceMs,
        busy: yes => this.#ask(yes),
        silent: () => this.#silent(),
      });
    } catch (error) {
      throw this.#lost ?? channelError(this.#spec, error as Error);
    } finally {
      clearTimeout(timer);
      this.#opening.delete(stop);
      this.#ask(false);
    }
  }

  #ask(more: boolean): void {
    const { socket } = this.#login;
    this.#busy += more ? 1 : -1;
    if (this.#busy === 0) socket.unref();
    else socket.ref();
  }

  #silent(): void {
    const seconds = Math.round(this.#timing.silenceMs / 1000);
    this.#lose(new LostError(`the server said nothing for ${seconds} s`, true));
    this.#login.socket.destroy();
  }

  #lose(error: LostError): void {
    if (this.#lost) return;
    this.#lost = error;
    clearInterval(this.#alive);
    for (const { channel } of this.#slots) channel?.lose(error);
    for (const stop of this.#opening) stop(error);
  }

  #keepAlive(): void {
    const channel = this.#slots.find(slot => slot.channel && !slot.channel.isLost)?.channel;
    // If there is no answer, the channel's watch sees to it.
    if (this.#busy === 0) channel?.realpath('.').catch(() => {});
  }
}

function channelError(spec: SftpSpec, error: Error): Error {
  if (/No response|Not connected/.test(error.message)) return new LostError(error.message, false, error);
  return new TidemarkError(
    'SFTP_REFUSED',
    `${sftpLocation(spec)} can be logged in to, but gives no files: ${error.message}`,
    'the server must permit SFTP: see "Subsystem sftp" in its sshd_config, and that the shell prints nothing at login',
    { cause: error },
  );
}
