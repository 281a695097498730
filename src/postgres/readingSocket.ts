import { Socket, type SocketConstructorOpts } from 'node:net';

/** What the kernel gives at once, at the most: about what a Unix socket holds. */
const BUFFER_BYTES = 256 << 10;

/**
 * A socket that reads into one buffer for all its life. A stream would allocate 64 KiB a read, gigabytes over a backup, for
 * the garbage collector to find. TLS on top of it reads by its own means and never comes here.
 */
export class ReadingSocket extends Socket {
  /** Gets what was read instead of the `data` event; the bytes are good until it returns. */
  reader: ((bytes: Buffer) => void) | undefined;

  constructor() {
    const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const callback = (count: number): boolean => {
      this.#take(buffer.subarray(0, count));
      return true; // pausing is up to pause()
    };
    super({ onread: { buffer, callback } } as SocketConstructorOpts);
  }

  #take(bytes: Buffer): void {
    if (this.reader) this.reader(bytes);
    else this.emit('data', Buffer.from(bytes));
  }
}
