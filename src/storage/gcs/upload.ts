import { createHash, randomBytes } from 'node:crypto';
import { TidemarkError } from '../../base/errors.ts';
import type { Answer } from './answer.ts';
import type { GcsBucket } from './bucket.ts';

/** Up to here one request does it; what is larger can go on where it was cut. */
const SINGLE_BYTES = 8 * 1024 * 1024;
/** A multiple of 256 KiB, as every part but the last has to be; a pack goes in one. */
const PART_BYTES = 32 * 1024 * 1024;
/** Uploads that were cut and wait for the next attempt. Google forgets those that nobody goes on with. */
const WAITING = 64;

export interface Upload {
  name: string;
  data: readonly Uint8Array[];
  metadata: Readonly<Record<string, unknown>>;
  query: Readonly<Record<string, string | undefined>>;
}

/**
 * Uploads to a bucket. Google compares the MD5 of what came with that of what was sent, and makes no object where they
 * differ. An upload in parts that was cut is remembered: the same upload, asked for again, goes on where it was cut.
 */
export class Uploader {
  readonly #bucket: GcsBucket;
  /** What tells an upload from others → the address of its session, which is a secret. */
  readonly #cut = new Map<string, string>();

  constructor(bucket: GcsBucket) {
    this.#bucket = bucket;
  }

  /** `refused` where a precondition of the query does not hold. */
  async upload(upload: Upload): Promise<'stored' | 'refused'> {
    const sizeBytes = upload.data.reduce((sum, piece) => sum + piece.byteLength, 0);
    const hash = createHash('md5');
    for (const piece of upload.data) hash.update(piece);
    const name = this.#bucket.inBucket(upload.name);
    const metadata = { ...upload.metadata, name, md5Hash: hash.digest('base64') };
    const answer =
      sizeBytes <= SINGLE_BYTES
        ? await this.#atOnce(upload, metadata)
        : await this.#inParts(upload, metadata, sizeBytes);
    if (answer.status === 412) return 'refused';
    if (answer.status === 200 || answer.status === 201) return 'stored';
    throw this.#bucket.failure(answer, doing(upload));
  }

  /** https://docs.cloud.google.com/storage/docs/uploading-objects#uploading-an-object, multipart upload. */
  #atOnce(upload: Upload, metadata: object): Promise<Answer> {
    const boundary = randomBytes(24).toString('hex');
    const head =
      `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
      `--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
    return this.#bucket.upload(doing(upload), undefined, {
      method: 'POST',
      query: { ...upload.query, uploadType: 'multipart' },
      body: {
        type: `multipart/related; boundary=${boundary}`,
        pieces: [Buffer.from(head), ...upload.data, Buffer.from(`\r\n--${boundary}--\r\n`)],
      },
    });
  }

  /** https://docs.cloud.google.com/storage/docs/performing-resumable-uploads */
  async #inParts(upload: Upload, metadata: object, sizeBytes: number): Promise<Answer> {
    const key = JSON.stringify([metadata, upload.query, sizeBytes]);
    let session = this.#cut.get(key);
    this.#cut.delete(key);
    let answer: Answer;
    if (session === undefined) {
      answer = await this.#begin(upload, metadata, sizeBytes);
      if (answer.status !== 200) return answer;
      session = sessionOf(answer, upload);
      answer = await this.#send(session, upload, 0, sizeBytes, key);
    } else answer = await this.#send(session, upload, null, sizeBytes, key);
    for (let sent = 0; answer.status === 308; ) {
      const persisted = persistedBytes(answer);
      if (persisted < sent || persisted >= sizeBytes) throw confused(upload, this.#bucket.place);
      sent = persisted + 1;
      answer = await this.#send(session, upload, persisted, sizeBytes, key);
    }
    return answer;
  }

  async #begin(upload: Upload, metadata: object, sizeBytes: number): Promise<Answer> {
    return this.#bucket.upload(doing(upload), undefined, {
      method: 'POST',
      query: { ...upload.query, uploadType: 'resumable' },
      headers: { 'x-upload-content-length': String(sizeBytes) },
      body: { type: 'application/json; charset=UTF-8', pieces: [Buffer.from(JSON.stringify(metadata))] },
    });
  }

  /**
   * The part from an offset, or only the question how much is there (null).
   *
   * A session that may go on is kept for the next attempt; one that has ended, well or not, is forgotten.
   */
  async #send(
    session: string,
    upload: Upload,
    from: number | null,
    sizeBytes: number,
    key: string,
  ): Promise<Answer> {
    const to = from === null ? 0 : Math.min(from + PART_BYTES, sizeBytes);
    const range = from === null ? '*' : `${from}-${to - 1}`;
    try {
      const answer = await this.#bucket.upload(doing(upload), session, {
        method: 'PUT',
        headers: { 'content-range': `bytes ${range}/${sizeBytes}` },
        body: { type: 'application/octet-stream', pieces: from === null ? [] : slice(upload.data, from, to) },
      });
      if (answer.status === 404 || answer.status === 410) throw ended(upload, this.#bucket.place);
      if (answer.status === 429 || answer.status >= 500) this.#keep(key, session);
      return answer;
    } catch (error) {
      const { code, retry } = error as TidemarkError;
      if (retry && code !== 'STORAGE_UPLOAD_ENDED') this.#keep(key, session);
      throw error;
    }
  }

  #keep(key: string, session: string): void {
    this.#cut.set(key, session);
    for (const oldest of this.#cut.keys()) {
      if (this.#cut.size <= WAITING) break;
      this.#cut.delete(oldest);
    }
  }
}

function doing({ name }: Upload): string {
  return `can't write ${name}`;
}

function sessionOf({ headers }: Answer, upload: Upload): string {
  const session = headers.get('location');
  if (session !== null) return session;
  throw new TidemarkError(
    'STORAGE',
    `${doing(upload)}: the server began an upload without saying where it goes on`,
    'look at endpoint= in the address: does it speak the JSON API of Cloud Storage?',
  );
}

/** `Range: bytes=0-N` names what is there; without it nothing is. */
function persistedBytes({ headers }: Answer): number {
  const last = /^bytes=0-(\d+)$/.exec(headers.get('range') ?? '')?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

/** The bytes from one offset to another, without copying them. */
function slice(data: readonly Uint8Array[], from: number, to: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const piece of data) {
    const end = offset + piece.byteLength;
    if (end > from && offset < to) pieces.push(piece.subarray(Math.max(0, from - offset), to - offset));
    offset = end;
  }
  return pieces;
}

function ended(upload: Upload, place: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UPLOAD_ENDED',
    `${doing(upload)} in ${place}: the server has given up the upload`,
    'run the command again',
    { retry: {} },
  );
}

function confused(upload: Upload, place: string): TidemarkError {
  return new TidemarkError(
    'STORAGE',
    `${doing(upload)} in ${place}: the server does not go on with the upload`,
    'run the command again',
    { retry: {} },
  );
}
