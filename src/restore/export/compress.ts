import { pipeline, type Transform } from 'node:stream';
import { createDeflate, createGzip } from 'node:zlib';

/** Level and stream format that pg_dump's gzip has inside a custom archive (zlib) and in a file (gzip). */
export const zlibStream = (): Transform => createDeflate();
export const gzipStream = (): Transform => createGzip();

/** The bytes that come out of a transform; an error of the source comes out too. */
export async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Buffer> {
  // The error is thrown where the transform is read.
  pipeline(source, transform, () => {});
  for await (const chunk of transform) yield chunk as Buffer;
}
