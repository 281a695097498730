import type { BlobDownloadResponseParsed } from '@azure/storage-blob';
import { TidemarkError } from '../../base/errors.ts';
import { checkWholeSize, missing, truncated } from '../object.ts';
import { type AzureContainer, isFolder } from './container.ts';
import { serviceCode } from './failure.ts';

interface Range {
  offset: number;
  length: number;
}

/** Reads a blob, or exactly the bytes asked for, into one buffer. */
export async function receive(container: AzureContainer, name: string, range?: Range): Promise<Buffer> {
  const blob = container.blob(name);
  if (range?.length === 0) {
    if (!(await container.properties(name))) throw missing(name, container.place);
    return Buffer.alloc(0);
  }
  return container.call('read', name, async ({ signal, alive }) => {
    const options = { abortSignal: signal, maxRetryRequests: 0 };
    const answer = await blob.download(range?.offset, range?.length, options).catch(error => {
      const beyond = range && serviceCode(error) === 'InvalidRange';
      throw beyond ? truncated(name, container.place, range.offset + range.length) : error;
    });
    const body = answer.readableStreamBody!;
    body.on('error', () => {}); // told by the loop below; without a listener it would end the process before that
    if (isFolder(answer.metadata)) throw missing(name, container.place);
    const buffer = Buffer.allocUnsafeSlow(lengthOf(answer, name, container.place, range));
    const done = await fill(buffer, body as AsyncIterable<Buffer>, alive);
    if (done !== buffer.length) throw cut(name, container.place, done, buffer.length);
    return buffer;
  });
}

/** @returns how many bytes came; a connection that is lost ends them. */
async function fill(buffer: Buffer, body: AsyncIterable<Buffer>, alive: () => void): Promise<number> {
  let done = 0;
  try {
    for await (const chunk of body) {
      alive();
      if (done + chunk.length <= buffer.length) chunk.copy(buffer, done);
      done += chunk.length;
    }
  } catch {
    // However it ended: what counts is whether everything came.
  }
  return done;
}

/** The bytes that will come; an answer with others than were asked for is refused. */
function lengthOf(answer: BlobDownloadResponseParsed, name: string, place: string, range?: Range): number {
  const { contentLength = 0, contentRange } = answer;
  if (!range) {
    checkWholeSize(name, place, contentLength);
    return contentLength;
  }
  const [, first] = /^bytes (\d+)-/.exec(contentRange ?? '') ?? [];
  if (Number(first) !== range.offset || contentLength > range.length) {
    throw new TidemarkError(
      'STORAGE_PROTOCOL',
      `can't read ${name} in ${place}: the answer has other bytes than were asked for`,
      'a proxy in between may not pass on the header Range',
    );
  }
  if (contentLength === range.length) return contentLength;
  throw truncated(name, place, range.offset + range.length, range.offset + contentLength);
}

function cut(name: string, place: string, got: number, wanted: number): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNREACHABLE',
    `can't read ${name} in ${place}: the connection gave ${got} of ${wanted} bytes`,
    'check the network',
    { retry: {} },
  );
}
