import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** An HTTP server on loopback that answers as a test says, for what no server that can be had ever answers. */
export class Answering {
  readonly asked: Asked[] = [];
  answer: (asked: Asked) => Answer;
  readonly #server: Server;

  private constructor(answer: (asked: Asked) => Answer) {
    this.answer = answer;
    this.#server = createServer(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
      const { method = '', url = '', headers } = request;
      const asked = { method, path: url, headers, body: Buffer.concat(pieces) };
      this.asked.push(asked);
      const { status, headers: answered, body = '' } = this.answer(asked);
      response.writeHead(status, answered).end(method === 'HEAD' ? undefined : body);
    });
    this.#server.unref();
  }

  static async with(answer: (asked: Asked) => Answer): Promise<Answering> {
    const answering = new Answering(answer);
    answering.#server.listen(0, '127.0.0.1');
    await once(answering.#server, 'listening');
    return answering;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
