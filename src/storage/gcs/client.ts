import { Readable } from 'node:stream';
import { TidemarkError } from '../../base/errors.ts';
import type { Answer } from './answer.ts';
import type { Auth } from './auth.ts';
import { networkFailure } from './failure.ts';

/** Small pieces go out together, large ones in such parts, so that it is seen when a connection stops taking them. */
const BLOCK_BYTES = 256 * 1024;
/** No server makes us take more memory by a word than this. */
const LONGEST_BODY_BYTES = 256 * 1024 * 1024;

export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the endpoint on, or whole. */
  path: string;
  query?: Readonly<Record<string, string | undefined>>;
  headers?: Readonly<Record<string, string>>;
  body?: { type: string; pieces: readonly Uint8Array[] };
  /** The answer's body may have at most so many; default: LONGEST_BODY_BYTES. */
  bytesMax?: number;
}

export interface ClientOptions {
  auth: Auth;
  endpoint: string;
  project: string | undefined;
  silenceMs: number;
}

/** Requests of the JSON API: signed, never repeated, and given up when nothing moves. */
export class GcsClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /**
   * The answer, whatever its status, once all of it is there.
   *
   * @param what for messages: `can't read x in gs://y`.
   * @throws TidemarkError where there is no answer: a temporary one, but for credentials and certificates.
   */
  async ask(what: string, request: Request): Promise<Answer> {
    const answer = await this.#askOnce(what, request);
    if (answer.status !== 401) return answer;
    // A token may end before its time; another is asked for once.
    this.#options.auth.forget();
    return this.#askOnce(what, request);
  }

  async #askOnce(what: string, request: Request): Promise<Answer> {
    const { auth, silenceMs } = this.#options;
    const { headers, transport } = await auth.sign();
    for (const [name, value] of Object.entries(request.headers ?? {})) headers.set(name, value);
    const silence = new Silence(silenceMs);
    try {
      const answer = await transport.request<Readable | ''>({
        url: this.#url(request),
        method: request.method,
        headers,
        ...bodyOf(request, headers, silence),
        responseType: 'stream',
        validateStatus: () => true,
        retry: false,
        signal: silence.signal,
      });
      const { status, data } = answer;
      return {
        status,
        headers: answer.headers,
        body: await readWhole(data, answer.headers, silence, request.bytesMax),
      };
    } catch (error) {
      if (silence.signal.aborted) throw silent(what, silenceMs);
      if (error instanceof BodyTooLarge) throw tooLarge(what, error);
      throw networkFailure(error, what);
    } finally {
      silence.end();
    }
  }

  #url({ path, query = {} }: Request): string {
    const { endpoint, project } = this.#options;
    const url = new URL(path, endpoint);
    for (const [key, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(key, value);
    if (project !== undefined) url.searchParams.set('userProject', project);
    return url.href;
  }
}

/** Aborts what it is given to unless something is heard again and again. */
class Silence {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function bodyOf({ method, body }: Request, headers: Headers, silence: Silence): { data?: Readable } {
  const pieces = body?.pieces ?? [];
  const sizeBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  if (body) headers.set('content-type', body.type);
  if (method !== 'GET' && method !== 'DELETE') headers.set('content-length', String(sizeBytes));
  return sizeBytes === 0 ? {} : { data: Readable.from(blocks(pieces, silence), { objectMode: false }) };
}

async function* blocks(pieces: readonly Uint8Array[], silence: Silence): AsyncGenerator<Uint8Array> {
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  for (const piece of pieces) {
    for (let from = 0; from < piece.byteLength; from += BLOCK_BYTES) {
      const part = piece.subarray(from, from + BLOCK_BYTES);
      silence.heard();
      if (smallBytes + part.byteLength > BLOCK_BYTES) {
        yield Buffer.concat(small);
        small = [];
        smallBytes = 0;
      }
      if (part.byteLength === BLOCK_BYTES) yield part;
      else {
        small.push(part);
        smallBytes += part.byteLength;
      }
    }
  }
  if (smallBytes > 0) yield Buffer.concat(small);
}

/** Where the length is said, into one buffer; a body of another length is left to whoever knows what it should be. */
async function readWhole(
  stream: Readable | '',
  headers: Headers,
  silence: Silence,
  bytesMax = LONGEST_BODY_BYTES,
): Promise<Buffer> {
  const said = Number(headers.get('content-length') ?? 0);
  if (said > bytesMax) {
    if (stream) stream.destroy();
    throw new BodyTooLarge(said, bytesMax);
  }
  const whole = Buffer.allocUnsafeSlow(said);
  const more: Buffer[] = [];
  let filled = 0;
  let got = 0;
  for await (const piece of (stream || []) as AsyncIterable<Buffer>) {
    silence.heard();
    got += piece.length;
    if (got > bytesMax) throw new BodyTooLarge(got, bytesMax);
    if (more.length === 0 && filled + piece.length <= whole.length) filled += piece.copy(whole, filled);
    else more.push(piece);
  }
  const begun = whole.subarray(0, filled);
  return more.length === 0 ? begun : Buffer.concat([begun, ...more]);
}

/** An answer that is longer than what was asked for can be. Never leaves this file. */
class BodyTooLarge extends Error {
  constructor(sizeBytes: number, bytesMax: number) {
    super(`it has ${sizeBytes} bytes or more, where tidemark writes at most ${bytesMax}`);
  }
}

function tooLarge(what: string, cause: BodyTooLarge): TidemarkError {
  return new TidemarkError(
    'OBJECT_TOO_LARGE',
    `${what}: ${cause.message}`,
    "it is no object of tidemark; see what put it there, and run 'tidemark verify --all'",
    { kind: 'fault', cause },
  );
}

function silent(what: string, silenceMs: number): TidemarkError {
  return new TidemarkError(
    'STORAGE_TIMEOUT',
    `${what}: nothing moved for ${Math.ceil(silenceMs / 1000)} s`,
    'look at the network of this machine, and at https://status.cloud.google.com',
    { retry: {} },
  );
}
