import { randomBytes } from 'node:crypto';
import { ApiError } from './apiError.ts';
import { type Bucket, checkPreconditions, insert, invalid, type Resource } from './buckets.ts';

/** Parts but the last, and what is kept of one that is cut, are multiples of this. */
const GRAIN_BYTES = 256 * 1024;

/** https://docs.cloud.google.com/storage/docs/performing-resumable-uploads */
interface Session {
  bucket: Bucket;
  metadata: Record<string, unknown>;
  query: URLSearchParams;
  persisted: Buffer;
  finished?: Resource;
}

export interface UploadAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: Resource;
}

/** Resumable uploads: begun, sent in parts, asked about; metadata and preconditions are those of the beginning. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();

  get open(): number {
    return [...this.#sessions.values()].filter(session => !session.finished).length;
  }

  begin(bucket: Bucket, metadata: Record<string, unknown>, query: URLSearchParams): string {
    checkPreconditions(bucket.objects.get(String(metadata.name)), query);
    const id = randomBytes(24).toString('base64url');
    this.#sessions.set(id, { bucket, metadata, query, persisted: Buffer.alloc(0) });
    return id;
  }

  /** The server forgets them, as it does after a week. */
  forget(): void {
    this.#sessions.clear();
  }

  /** A part of which everything has come. */
  receive(id: string, contentRange: string, bytes: Buffer): UploadAnswer {
    const session = this.#sessions.get(id);
    if (!session) throw new ApiError(410, 'gone', 'The requested upload is no longer available.');
    if (session.finished) return { status: 200, body: session.finished };
    const [, first, last, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+)$/.exec(contentRange) ?? [];
    if (total === undefined) throw invalid(`Failed to parse Content-Range header: ${contentRange}`);
    if (first !== undefined) this.#append(session, Number(first), Number(last), Number(total), bytes);
    if (session.persisted.length < Number(total)) return incomplete(session);
    try {
      session.finished = insert(session.bucket, session.metadata, session.persisted, session.query);
    } catch (error) {
      this.#sessions.delete(id);
      throw error;
    }
    return { status: 200, body: session.finished };
  }

  #append(session: Session, first: number, last: number, total: number, bytes: Buffer): void {
    if (bytes.length !== last - first + 1 || last >= total)
      throw invalid(`Invalid request. There were ${bytes.length} byte(s) in the request body.`);
    if (last + 1 !== total && bytes.length % GRAIN_BYTES !== 0)
      throw invalid('Invalid request. The size of a chunk has to be a multiple of 256 KiB.');
    if (first > session.persisted.length)
      throw invalid(`Invalid request. The upload has ${session.persisted.length} bytes, not ${first}.`);
    session.persisted = Buffer.concat([session.persisted.subarray(0, first), bytes]);
  }

  /** A part of which only these bytes have come; whole grains of it are kept. */
  receiveCut(id: string, contentRange: string, bytes: Buffer): void {
    const session = this.#sessions.get(id);
    const first = /^bytes (\d+)-/.exec(contentRange)?.[1];
    if (!session || first === undefined || Number(first) !== session.persisted.length) return;
    const there = Buffer.concat([session.persisted, bytes]);
    session.persisted = there.subarray(0, there.length - (there.length % GRAIN_BYTES));
  }
}

function incomplete({ persisted }: Session): UploadAnswer {
  const headers: Record<string, string> =
    persisted.length === 0 ? {} : { range: `bytes=0-${persisted.length - 1}` };
  return { status: 308, headers };
}

/** https://docs.cloud.google.com/storage/docs/uploading-objects, multipart upload: metadata, then the bytes. */
export function splitMultipart(
  contentType: string,
  body: Buffer,
): { metadata: Record<string, unknown>; bytes: Buffer } {
  const boundary = /^multipart\/related;.*boundary="?([^";]+)"?/.exec(contentType)?.[1];
  if (boundary === undefined) throw invalid(`Not multipart/related: ${contentType}`);
  const parts: Buffer[] = [];
  const mark = Buffer.from(`--${boundary}`);
  for (let from = body.indexOf(mark); from >= 0; ) {
    const start = from + mark.length + 2;
    const next = body.indexOf(Buffer.from(`\r\n--${boundary}`), start);
    if (next < 0) break;
    parts.push(body.subarray(start, next));
    from = next + 2;
  }
  const [first, second] = parts.map(part => part.subarray(part.indexOf('\r\n\r\n') + 4));
  if (!first || !second || parts.length !== 2) throw invalid('Multipart body has not two parts.');
  return { metadata: JSON.parse(first.toString()), bytes: Buffer.from(second) };
}
