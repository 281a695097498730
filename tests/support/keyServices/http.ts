import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Asked {
  method: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: object;
}

export interface LoopbackService {
  /** `http://127.0.0.1:port`, without a slash at its end. */
  origin: string;
  close(): Promise<void>;
}

/** A service on this machine that ends with the test; what it throws shows as status 500. */
export async function serve(answer: (asked: Asked) => Answer | Promise<Answer>): Promise<LoopbackService> {
  const server = createServer(async (request, response) => {
    try {
      const body = await buffer(request);
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const {
        status,
        headers,
        body: json,
      } = await answer({
        method: request.method ?? 'GET',
        url,
        headers: request.headers,
        body,
      });
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(json));
    } catch (error) {
      response.writeHead(500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ message: String(error) }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
