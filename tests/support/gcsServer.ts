import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError } from './gcs/apiError.ts';
import {
  type Bucket,
  type BucketOptions,
  bucketResource,
  checkFree,
  checkPreconditions,
  insert,
  invalid,
  makeBucket,
  objectOf,
  patch,
  type StoredObject,
  withExpiration,
} from './gcs/buckets.ts';
import { Tokens } from './gcs/tokens.ts';
import { Sessions, splitMultipart } from './gcs/uploads.ts';

/** A request as tests look at it. */
export interface Seen {
  method: string;
  /** Decoded. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
}

/** What the server does instead of answering well. */
export type Trouble =
  /** Answers so, and does nothing else. */
  | { answer: number; reason?: string; message?: string; headers?: Record<string, string> }
  /** Answers so before it has read the request's body, and ends the connection. */
  | { answerEarly: number }
  /** Ends the connection after so many bytes of the request's body. */
  | { cutRequestAt: number }
  /** Does the work, and ends the connection after so many bytes of the answer's body. */
  | { cutAnswerAt: number }
  /** Does the work, and ends the connection. */
  | { loseAnswer: true }
  /** Takes the request and says nothing. */
  | { silent: true }
  /** Changes a byte of the request's body. */
  | { damage: true };

/**
 * A server that speaks the part of Cloud Storage's JSON API that tidemark uses, in memory and on loopback, written from its
 * documentation (each rule names the page where it is kept): objects with generations, multipart and resumable uploads,
 * downloads with ranges, lists in pages, preconditions, checksums, classes, retention, permissions, access tokens and
 * errors. What it does not know it refuses, so that nothing passes by luck. It was never compared with Google's own.
 */
export class GcsServer {
  readonly tokens = new Tokens();
  readonly sessions = new Sessions();
  readonly requests: Seen[] = [];
  /** Permissions that the service account lacks. */
  readonly denied = new Set<string>();
  /** At most so many objects a page, whatever is asked. */
  pageObjects = 1000;
  readonly #buckets = new Map<string, Bucket>();
  readonly #troubles: { of: (seen: Seen) => boolean; trouble: Trouble; times: number }[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch(error => {
        if (!request.destroyed) response.destroy(error);
      });
    });
  }

  static async start(): Promise<GcsServer> {
    const server = new GcsServer();
    await new Promise<void>(resolve => server.#server.listen(0, '127.0.0.1', resolve));
    server.#server.unref();
    return server;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What `credentials_json` may be. */
  get credentials(): string {
    return this.tokens.workloadIdentity(this.endpoint);
  }

  bucket(name: string, options?: BucketOptions): Bucket {
    const bucket = this.#buckets.get(name) ?? makeBucket(name, options);
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** The next so many requests that match meet trouble. */
  trouble(of: (seen: Seen) => boolean, trouble: Trouble, times = 1): void {
    this.#troubles.push({ of, trouble, times });
  }

  untroubled(): void {
    this.#troubles.length = 0;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.endpoint);
    const { method = '', headers, socket } = request;
    const seen: Seen = { method, path: decodeURIComponent(url.pathname), query: url.searchParams, headers };
    this.requests.push(seen);
    const trouble = this.#next(seen);
    if (trouble && 'silent' in trouble) return void request.resume();
    if (trouble && 'answerEarly' in trouble) {
      response.writeHead(trouble.answerEarly, { connection: 'close' }).end();
      return;
    }
    const body = await this.#read(request, url, trouble);
    if (body === undefined) return;
    if (trouble && 'damage' in trouble) body[body.length >> 1]! ^= 1;
    const answer = this.#guarded(seen, url, body, trouble);
    if (trouble && 'loseAnswer' in trouble) return void socket.destroy();
    response.writeHead(answer.status, { 'content-length': answer.body.length, ...answer.headers });
    if (trouble && 'cutAnswerAt' in trouble) {
      response.write(answer.body.subarray(0, trouble.cutAnswerAt), () => socket.destroy());
      return;
    }
    response.end(answer.body);
  }

  #next(seen: Seen): Trouble | undefined {
    const next = this.#troubles.find(({ of, times }) => times > 0 && of(seen));
    if (next) next.times--;
    return next?.trouble;
  }

  /** The body; undefined where the connection ended before. */
  async #read(request: IncomingMessage, url: URL, trouble: Trouble | undefined): Promise<Buffer | undefined> {
    const pieces: Buffer[] = [];
    const { socket } = request;
    const limit = trouble && 'cutRequestAt' in trouble ? trouble.cutRequestAt : Number.POSITIVE_INFINITY;
    let sizeBytes = 0;
    try {
      for await (const piece of request) {
        pieces.push(piece);
        sizeBytes += piece.length;
        if (sizeBytes >= limit) break;
      }
    } catch {
      // The client went away.
    }
    const body = Buffer.concat(pieces);
    if (request.complete && sizeBytes < limit) return body;
    const id = url.searchParams.get('upload_id');
    if (id) this.sessions.receiveCut(id, request.headers['content-range'] ?? '', body);
    socket.destroy();
    return undefined;
  }

  #guarded(seen: Seen, url: URL, body: Buffer, trouble: Trouble | undefined): Answer {
    try {
      if (trouble && 'answer' in trouble) {
        const { answer, reason = 'backendError', message = 'Backend Error' } = trouble;
        return {
          ...json(answer, new ApiError(answer, reason, message).body, seen.query),
          headers: trouble.headers,
        };
      }
      if (url.pathname === '/subject')
        return {
          status: 200,
          headers: { 'content-type': 'text/plain' },
          body: Buffer.from(this.tokens.subjectToken),
        };
      if (/^(\/v1)?\/token$/.test(url.pathname)) {
        const { status, body: given } = this.tokens.answer(body.toString());
        return json(status, given, new URLSearchParams());
      }
      if (!this.tokens.accepts(seen.headers.authorization))
        throw new ApiError(401, 'authError', 'Invalid Credentials');
      return this.#answer(seen, url, body);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Errors of downloads are plain text.
      if (seen.query.get('alt') === 'media')
        return {
          status: error.status,
          headers: { 'content-type': 'text/html' },
          body: Buffer.from(error.message),
        };
      return json(error.status, error.body, new URLSearchParams());
    }
  }

  #answer({ method, headers, query }: Seen, { pathname }: URL, body: Buffer): Answer {
    const [, upload, bucketName, rest, object] =
      /^(\/upload)?\/storage\/v1\/b\/([^/]+)(\/o(?:\/([^/]+))?)?$/.exec(pathname) ?? [];
    if (bucketName === undefined) throw new ApiError(404, 'notFound', 'Not Found');
    const bucket = this.#buckets.get(bucketName);
    if (!bucket) throw new ApiError(404, 'notFound', 'The specified bucket does not exist.');
    if (upload) return this.#upload(bucket, method, query, headers, body);
    const name = object === undefined ? undefined : decodeURIComponent(object);
    if (rest === undefined && method === 'GET') return this.#showBucket(bucket, query);
    if (name === undefined && method === 'GET') return this.#list(bucket, query);
    if (name === undefined) throw new ApiError(405, 'methodNotAllowed', 'Method Not Allowed');
    if (method === 'GET') return this.#get(bucket, name, query, headers);
    if (method === 'DELETE') return this.#delete(bucket, name, query);
    if (method === 'PATCH') return this.#patch(bucket, name, query, body);
    throw new ApiError(405, 'methodNotAllowed', 'Method Not Allowed');
  }

  #upload(
    bucket: Bucket,
    method: string,
    query: URLSearchParams,
    headers: IncomingMessage['headers'],
    body: Buffer,
  ): Answer {
    checkQuery(query, [
      'uploadType',
      'upload_id',
      'ifGenerationMatch',
      'kmsKeyName',
      'name',
      'fields',
      'userProject',
    ]);
    const id = query.get('upload_id');
    if (id !== null && method === 'PUT') {
      const {
        status,
        body: resource,
        headers: given,
      } = this.sessions.receive(id, headers['content-range'] ?? '', body);
      return resource ? json(status, resource, query) : { status, headers: given, body: Buffer.alloc(0) };
    }
    if (method !== 'POST') throw new ApiError(405, 'methodNotAllowed', 'Method Not Allowed');
    this.#permit('storage.objects.create', 'object');
    if (query.get('uploadType') === 'resumable') {
      const metadata = JSON.parse(body.toString());
      this.#permitUpload(bucket, metadata);
      const session = this.sessions.begin(bucket, metadata, query);
      const location = `${this.endpoint}/upload/storage/v1/b/${bucket.name}/o?uploadType=resumable&upload_id=${session}`;
      return { status: 200, headers: { location }, body: Buffer.alloc(0) };
    }
    if (query.get('uploadType') !== 'multipart')
      throw invalid(`Unknown uploadType: ${query.get('uploadType')}`);
    const { metadata, bytes } = splitMultipart(headers['content-type'] ?? '', body);
    this.#permitUpload(bucket, metadata);
    return json(200, insert(bucket, metadata, bytes, query), query);
  }

  /** https://docs.cloud.google.com/storage/docs/json_api/v1/objects/insert, required permissions. */
  #permitUpload(bucket: Bucket, metadata: Record<string, unknown>): void {
    if (bucket.objects.has(String(metadata.name))) this.#permit('storage.objects.delete', 'object');
    if (metadata.retention) this.#permit('storage.objects.setRetention', 'object');
  }

  #showBucket(bucket: Bucket, query: URLSearchParams): Answer {
    checkQuery(query, ['fields', 'userProject']);
    this.#permit('storage.buckets.get', 'bucket');
    return json(200, bucketResource(bucket), query);
  }

  /** https://docs.cloud.google.com/storage/docs/json_api/v1/objects/list */
  #list(bucket: Bucket, query: URLSearchParams): Answer {
    checkQuery(query, ['prefix', 'pageToken', 'maxResults', 'fields', 'userProject']);
    this.#permit('storage.objects.list', 'bucket');
    const after = Buffer.from(query.get('pageToken') ?? '', 'base64url').toString();
    const names = [...bucket.objects.keys()]
      .filter(name => name.startsWith(query.get('prefix') ?? '') && name > after)
      .sort();
    const count = Math.min(Number(query.get('maxResults') ?? 1000), this.pageObjects);
    const page = names.slice(0, count);
    return json(
      200,
      {
        kind: 'storage#objects',
        // An empty page has no items.
        ...(page.length > 0
          ? { items: page.map(name => withExpiration(bucket, bucket.objects.get(name)!.resource)) }
          : {}),
        ...(names.length > count ? { nextPageToken: Buffer.from(page.at(-1)!).toString('base64url') } : {}),
      },
      query,
    );
  }

  #get(bucket: Bucket, name: string, query: URLSearchParams, headers: IncomingMessage['headers']): Answer {
    checkQuery(query, ['alt', 'fields', 'userProject']);
    this.#permit('storage.objects.get', 'object');
    const object = objectOf(bucket, name);
    if (query.get('alt') === 'media') return download(object, headers.range);
    return json(200, withExpiration(bucket, object.resource), query);
  }

  #delete(bucket: Bucket, name: string, query: URLSearchParams): Answer {
    checkQuery(query, ['userProject']);
    this.#permit('storage.objects.delete', 'object');
    objectOf(bucket, name);
    checkFree(bucket, name);
    bucket.objects.delete(name);
    return { status: 204, body: Buffer.alloc(0) };
  }

  #patch(bucket: Bucket, name: string, query: URLSearchParams, body: Buffer): Answer {
    checkQuery(query, ['ifMetagenerationMatch', 'overrideUnlockedRetention', 'fields', 'userProject']);
    this.#permit('storage.objects.update', 'object');
    const object = objectOf(bucket, name);
    checkPreconditions(object, query);
    const changes = JSON.parse(body.toString());
    if (changes.retention) this.#permit('storage.objects.setRetention', 'object');
    return json(200, patch(bucket, object, changes, query), query);
  }

  #permit(permission: string, what: 'object' | 'bucket'): void {
    if (!this.denied.has(permission)) return;
    throw new ApiError(
      403,
      'forbidden',
      `${this.tokens.email} does not have ${permission} access to the Google Cloud Storage ${what}. Permission '${permission}' denied on resource (or it may not exist).`,
    );
  }
}

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: Buffer;
}

/** https://docs.cloud.google.com/storage/docs/json_api/v1/objects/get with alt=media; RFC 9110, section 14. */
function download({ resource, bytes }: StoredObject, range: string | undefined): Answer {
  const headers = {
    'content-type': String(resource.contentType),
    'x-goog-generation': resource.generation,
    'x-goog-hash': `crc32c=${resource.crc32c},md5=${resource.md5Hash}`,
    'x-goog-stored-content-length': String(bytes.length),
  };
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (first === undefined) return { status: 200, headers, body: bytes };
  if (Number(first) >= bytes.length)
    throw new ApiError(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
  const end = Math.min(Number(last) + 1, bytes.length);
  const contentRange = `bytes ${first}-${end - 1}/${bytes.length}`;
  return {
    status: 206,
    headers: { ...headers, 'content-range': contentRange },
    body: bytes.subarray(Number(first), end),
  };
}

function checkQuery(query: URLSearchParams, known: readonly string[]): void {
  for (const key of query.keys())
    if (!known.includes(key)) throw new ApiError(400, 'invalidParameter', `Unknown parameter: ${key}`);
}

/** With `fields`, only what it asks for: https://docs.cloud.google.com/storage/docs/json_api#partial-response */
function json(status: number, content: object, query: URLSearchParams): Answer {
  const fields = query.get('fields');
  const shown = fields === null || status !== 200 ? content : select(content, fields);
  return {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8' },
    body: Buffer.from(JSON.stringify(shown)),
  };
}

function select(content: object, fields: string): object {
  const selected: Record<string, unknown> = {};
  for (const [, key, inner] of fields.matchAll(/([A-Za-z0-9]+)(?:\(([^)]*)\))?/g)) {
    const value = (content as Record<string, unknown>)[key!];
    if (value === undefined) continue;
    selected[key!] = inner && Array.isArray(value) ? value.map(each => select(each, inner)) : value;
  }
  return selected;
}
