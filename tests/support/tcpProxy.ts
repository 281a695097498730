import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What happens to bytes on their way: they pass (perhaps others, perhaps later); or the connection is reset, or ended as
 * if nothing more were to come, or falls silent.
 */
export type Fate = Buffer | 'cut' | 'end' | 'silent';

/**
 * @param direction up to the server, or down from it.
 * @param passed bytes that have passed this way on this connection before these.
 */
export type Rule = (direction: 'up' | 'down', bytes: Buffer, passed: number) => Fate | Promise<Fate>;

/** A real connection in between: forwards to a port on loopback, and does to the bytes what the rule of the moment says. */
export class TcpProxy {
  /** Without one, everything passes. */
  rule: Rule | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(target: number) {
    this.#server = createServer(client => this.#join(client, connect(target, '127.0.0.1')));
    this.#server.unref();
  }

  static async to(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resets every connection there is. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    const both = [client, server];
    for (const socket of both) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        for (const each of both) each.destroy();
      });
    }
    void this.#pass('up', client, server);
    void this.#pass('down', server, client);
  }

  async #pass(direction: 'up' | 'down', from: Socket, to: Socket): Promise<void> {
    let passed = 0;
    try {
      for await (const bytes of from as AsyncIterable<Buffer>) {
        const fate = this.rule ? await this.rule(direction, bytes, passed) : bytes;
        if (fate === 'cut') {
          for (const socket of [from, to]) socket.resetAndDestroy();
          return;
        }
        if (fate === 'end') break;
        if (fate === 'silent') continue;
        passed += bytes.length;
        if (!to.write(fate) && !to.destroyed) await drained(to);
      }
      to.end();
    } catch {
      // One of them has gone, and the other goes with it.
    }
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
