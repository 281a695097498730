import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { ListRef } from '../format/chunkList.ts';
import type { SnapshotReader } from './reader.ts';

/**
 * The bytes of a part, in order, in pieces that may be views of a segment: use them before asking for the next. Each was
 * unsealed, each chunk's id recomputed where the reader does that, and there are as many as were stored: what is missing
 * throws, and never shortens.
 *
 * @param where what the part is of, for people.
 * @throws TidemarkError of kind fault; PART_DIFFERS where there are more or fewer bytes.
 */
export async function* readPart(
  reader: SnapshotReader,
  part: ListRef & { bytes: number },
  where: string,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of reader.stream(await reader.list(part, where), where, signal)) {
    bytes += piece.length;
    yield piece;
  }
  if (bytes === part.bytes) return;
  throw faultError(
    'PART_DIFFERS',
    `${where}: ${part.bytes} bytes were stored, ${bytes} came back`,
    DAMAGE_HINT,
  );
}
