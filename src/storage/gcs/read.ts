import { TidemarkError } from '../../base/errors.ts';
import { missing, truncated, wholeBytesMax } from '../object.ts';
import type { Answer } from './answer.ts';
import type { GcsBucket } from './bucket.ts';

/** Decimal digits. */
interface Sized {
  size: string;
}

/** An object or exactly the range of it; https://docs.cloud.google.com/storage/docs/json_api/v1/objects/get. */
export async function readObject(
  bucket: GcsBucket,
  name: string,
  range?: { offset: number; length: number },
): Promise<Buffer> {
  const doing = `can't read ${name}`;
  if (range?.length === 0) return readNothing(bucket, name, range.offset);
  const answer = await bucket.askOf(doing, name, {
    method: 'GET',
    query: { alt: 'media' },
    bytesMax: range ? undefined : wholeBytesMax(name),
    headers: {
      // Nothing between is to change the bytes.
      'accept-encoding': 'identity',
      ...(range ? { range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {}),
    },
  });
  const end = range ? range.offset + range.length : undefined;
  if (end !== undefined && answer.status === 416)
    throw truncated(name, bucket.place, end, await sizeOf(bucket, name));
  if (answer.status === 206 && range) return partOf(bucket, name, answer, range);
  if (bucket.hasNone(answer, doing)) throw missing(name, bucket.place);
  if (answer.status !== 200) throw bucket.failure(answer, doing);
  const whole = wholeOf(bucket, name, answer);
  if (!range) return whole;
  // A server may answer a range with the whole object.
  if (whole.length < end!) throw truncated(name, bucket.place, end!, whole.length);
  return whole.subarray(range.offset, end);
}

/** No bytes; but what is read has to be there, as anywhere. */
async function readNothing(bucket: GcsBucket, name: string, offset: number): Promise<Buffer> {
  const sizeBytes = await sizeOf(bucket, name);
  if (offset > sizeBytes) throw truncated(name, bucket.place, offset, sizeBytes);
  return Buffer.alloc(0);
}

function wholeOf(bucket: GcsBucket, name: string, { headers, body }: Answer): Buffer {
  const stored = headers.get('x-goog-stored-content-length') ?? headers.get('content-length');
  if (stored !== null && Number(stored) !== body.length) throw cutShort(bucket, name);
  return body;
}

function partOf(
  bucket: GcsBucket,
  name: string,
  { headers, body }: Answer,
  { offset, length }: { offset: number; length: number },
): Buffer {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
  if (first === undefined || Number(first) !== offset) throw bucket.unreadable(`can't read ${name}`);
  if (body.length !== Number(last) - offset + 1) throw cutShort(bucket, name);
  if (body.length === length) return body;
  if (Number(total) < offset + length) throw truncated(name, bucket.place, offset + length, Number(total));
  throw cutShort(bucket, name);
}

async function sizeOf(bucket: GcsBucket, name: string): Promise<number> {
  const doing = `can't read ${name}`;
  const answer = await bucket.askOf(doing, name, { method: 'GET', query: { fields: 'size' } });
  if (bucket.hasNone(answer, doing)) throw missing(name, bucket.place);
  return Number(bucket.content<Sized>(answer, doing).size);
}

/** The object may be whole, but not all of it came. */
function cutShort(bucket: GcsBucket, name: string): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNREACHABLE',
    `can't read ${name} in ${bucket.place}: the answer was cut`,
    'look at the network of this machine',
    { retry: {} },
  );
}
