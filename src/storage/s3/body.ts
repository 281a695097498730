import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';

/** Bytes to send, known in length and hash beforehand, so that the server can refuse what changed on the way. */
export interface OutgoingBody {
  sizeBytes: number;
  /** A new stream with each call: the same bytes may have to be sent again. */
  open(): Buffer | Readable;
  /** Hexadecimal. Part of the signature: every server that speaks version 4 of it compares. */
  sha256: string;
  /** Base64. Only for requests that servers refuse without (objects with a lock): it costs as much as all the rest. */
  md5(): string;
}

/** Pieces shorter than this together are sent as one, in one packet where they fit. */
const JOINED_BYTES = 1 << 20;

export function outgoingBody(pieces: readonly Uint8Array[]): OutgoingBody {
  const sizeBytes = sizeOf(pieces);
  const data =
    sizeBytes <= JOINED_BYTES ? [Buffer.concat(pieces)] : pieces.filter(piece => piece.byteLength > 0);
  return {
    sizeBytes,
    open: () => (data.length === 1 ? asBuffer(data[0]!) : Readable.from(data, { objectMode: false })),
    sha256: digest('sha256', data).toString('hex'),
    md5: () => digest('md5', data).toString('base64'),
  };
}

export function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
}

/** The bytes from `offset`, as parts of the pieces; nothing is copied. */
export function sliceOf(pieces: readonly Uint8Array[], offset: number, length: number): Uint8Array[] {
  const slice: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const from = Math.max(0, offset - at);
    const to = Math.min(piece.byteLength, offset + length - at);
    if (from < to) slice.push(piece.subarray(from, to));
    at += piece.byteLength;
    if (at >= offset + length) break;
  }
  return slice;
}

/** Has the SDK sign with our hash: it would send a stream unsigned. */
export function signBody<Command extends PutObjectCommand | UploadPartCommand>(
  command: Command,
  { sha256 }: OutgoingBody,
): Command {
  (command as PutObjectCommand).middlewareStack.add(
    next => args => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'signBody' },
  );
  return command;
}

/**
 * Reads a body to its end; one that ends early is an error, of node's or ours.
 *
 * @param sizeBytes as announced; a body that comes in chunks has its own end, and need not be.
 * @param bytesMax that a body may have that announces nothing.
 */
export async function readBody(
  body: Readable,
  sizeBytes: number | undefined,
  bytesMax: number,
): Promise<Buffer> {
  if (sizeBytes === undefined) return readUnannounced(body, bytesMax);
  const buffer = Buffer.allocUnsafeSlow(sizeBytes);
  let done = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (done + chunk.length > sizeBytes) throw new BodyLengthError(sizeBytes, done + chunk.length);
    done += chunk.copy(buffer, done);
  }
  if (done < sizeBytes) throw new BodyLengthError(sizeBytes, done);
  return buffer;
}

async function readUnannounced(body: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let done = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    done += chunk.length;
    if (done > bytesMax) throw new BodyLengthError(bytesMax, done);
  }
  return Buffer.concat(chunks);
}

/** An answer that is not as long as it says it is. Never leaves this folder. */
export class BodyLengthError extends Error {
  constructor(wanted: number, got: number) {
    super(`the answer has ${got} bytes where it announced ${wanted}`);
  }
}

function digest(algorithm: string, pieces: readonly Uint8Array[]): Buffer {
  const hash = createHash(algorithm);
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
