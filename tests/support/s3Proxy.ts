import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { S3User } from './radosgw.ts';

/** A request on its way to the server, as far as tests choose by it. */
export interface Passing {
  method: string;
  /** With its query. */
  path: string;
  headers: http.IncomingHttpHeaders;
  /** Whether it has If-None-Match. */
  conditional: boolean;
  /** The body of a POST. */
  body?: string;
}

/** What a network, a server in trouble or another server would do. */
export type Interference =
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  /** The server's own answer, with these headers besides. */
  | { kind: 'addHeaders'; headers: Record<string, string> }
  /** Half of the answer's body arrives, and then the connection ends or nothing comes any more. */
  | { kind: 'cutAnswer' | 'silentAnswer' }
  /** The request is taken, and there is no answer ever. */
  | { kind: 'noAnswer' }
  /** The connection ends before the server has seen the request; or when it has carried it out. */
  | { kind: 'cutRequest' | 'loseAnswer' }
  /** One byte of the request's body is another when it comes to the server. */
  | { kind: 'corruptRequest' };

interface Rule {
  matches: (request: Passing) => boolean;
  interference: Interference;
  times: number;
}

/** Stands before a real S3 server and passes everything on, but for what tests ask it to do. */
export class S3Proxy {
  /** Every request that came, in order. */
  readonly seen: Passing[] = [];
  /** As a server does that doesn't know If-None-Match: takes it for nothing, as some do. */
  ignoresConditions = false;
  readonly #target: URL;
  readonly #user: S3User;
  readonly #rules: Rule[] = [];
  readonly #server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    this.#pass(request, response).catch(() => response.destroy());
  });

  private constructor(target: string, user: S3User) {
    this.#target = new URL(target);
    this.#user = user;
  }

  static async start(target: string, user: S3User): Promise<S3Proxy> {
    const proxy = new S3Proxy(target, user);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.#server.unref(); // with no test chosen, it may start after it was to end
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** Does this to the next so many requests that match. */
  interfere(matches: Rule['matches'], interference: Interference, times = 1): void {
    this.#rules.push({ matches, interference, times });
  }

  /** Nothing that was asked for and has not happened yet will. */
  forget(): void {
    this.#rules.length = 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #pass(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const conditional = request.headers['if-none-match'] !== undefined;
    const { method = '', url: path = '', headers } = request;
    const passing: Passing = { method, path, headers, conditional };
    this.seen.push(passing);
    const interference = this.#interferenceWith(passing);
    if (interference?.kind === 'cutRequest') return void request.socket.destroy();
    const body = await buffer(request);
    if (request.method === 'POST') passing.body = body.toString();
    if (interference?.kind === 'noAnswer') return;
    if (interference?.kind === 'corruptRequest') body[body.length >> 1]! ^= 1;
    if (interference?.kind === 'answer') {
      response.writeHead(interference.status, interference.headers);
      return void response.end(interference.body);
    }
    const answer = await this.#forward(request, body);
    if (interference?.kind === 'loseAnswer') {
      answer.destroy();
      return void request.socket.destroy();
    }
    const more = interference?.kind === 'addHeaders' ? interference.headers : {};
    const whole = await buffer(answer);
    response.writeHead(answer.statusCode!, { ...answer.headers, ...more });
    if (interference?.kind !== 'cutAnswer' && interference?.kind !== 'silentAnswer')
      return void response.end(whole);
    response.write(whole.subarray(0, whole.length >> 1));
    if (interference.kind === 'cutAnswer') setTimeout(() => request.socket.destroy(), 50);
  }

  #interferenceWith(passing: Passing): Interference | undefined {
    const rule = this.#rules.find(each => each.times > 0 && each.matches(passing));
    if (!rule) return undefined;
    rule.times--;
    return rule.interference;
  }

  async #forward(request: http.IncomingMessage, body: Buffer): Promise<http.IncomingMessage> {
    const headers = { ...request.headers } as Record<string, string>;
    if (this.ignoresConditions && headers['if-none-match'] !== undefined) {
      delete headers['if-none-match'];
      headers.authorization = sign(request.method!, request.url!, headers, this.#user);
    }
    const { hostname, port } = this.#target;
    const onward = http.request({ hostname, port, method: request.method, path: request.url, headers });
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [http.IncomingMessage];
    return answer;
  }
}

/**
 * The Authorization header again, for headers that changed on the way:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 */
function sign(method: string, target: string, headers: Record<string, string>, user: S3User): string {
  const [, scope, names] = /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+)/.exec(headers.authorization!)!;
  const signed = names!.split(';').filter(name => headers[name] !== undefined);
  const [path, query = ''] = target.split('?');
  const canonical = [
    method,
    path,
    query
      .split('&')
      .map(pair => (pair === '' || pair.includes('=') ? pair : `${pair}=`))
      .sort()
      .join('&'),
    ...signed.map(name => `${name}:${headers[name]!.trim()}`),
    '',
    signed.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hash].join('\n');
  const key = scope!
    .split('/')
    .reduce<Buffer | string>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${user.secretAccessKey}`,
    );
  const signature = createHmac('sha256', key).update(text).digest('hex');
  return `AWS4-HMAC-SHA256 Credential=${user.accessKeyId}/${scope}, SignedHeaders=${signed.join(';')}, Signature=${signature}`;
}
