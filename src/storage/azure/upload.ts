import { randomUUID } from 'node:crypto';
import type { BlockBlobClient, BlockBlobCommitBlockListOptions } from '@azure/storage-blob';
import { repeated } from '../wrap/repeat.ts';
import type { Attempt } from './call.ts';
import { blocksOf, lengthOf, md5Of, type Pieces, streamOf } from './pieces.ts';

/** Objects up to this are sent in one request: one write to pay for, and nothing half done. */
const AT_ONCE_BYTES = 32 << 20;
const BLOCK_BYTES = 8 << 20;
const BLOCKS_AT_ONCE = 4;
/** Of one block or page; then the whole call has failed, and is repeated as others are. */
export const PART_ATTEMPTS = 3;

/** What both ways of writing take alike: condition, tier, lock, encryption scope. */
export type WriteOptions = Pick<
  BlockBlobCommitBlockListOptions,
  'conditions' | 'tier' | 'immutabilityPolicy' | 'encryptionScope'
>;

/** Carries out one request, with its time limit, and throws errors of ours. */
export type Send = <T>(run: (attempt: Attempt) => Promise<T>) => Promise<T>;

/**
 * Writes a blob: it is there wholly, or not at all. The service compares what it gets with an MD5 sum of it.
 * The sum of the whole blob stays with it as a property.
 */
export async function upload(
  blob: BlockBlobClient,
  data: Pieces,
  options: WriteOptions,
  send: Send,
): Promise<void> {
  if (lengthOf(data) > AT_ONCE_BYTES) return uploadBlocks(blob, data, options, send);
  const md5 = md5Of(data);
  await send(({ signal, alive }) =>
    blob.upload(() => streamOf(data, alive), lengthOf(data), {
      ...options,
      abortSignal: signal,
      transactionalContentMD5: md5,
    }),
  );
}

/**
 * Blocks first, then the list of them, which makes the blob. Blocks of a blob are shared by all who write it, so that
 * ours have names that nobody else's have; those that no list names are thrown away by the service after a week.
 */
async function uploadBlocks(
  blob: BlockBlobClient,
  data: Pieces,
  options: WriteOptions,
  send: Send,
): Promise<void> {
  const session = randomUUID();
  const blocks = blocksOf(data, BLOCK_BYTES).map((pieces, i) => {
    const id = Buffer.from(`${session}-${String(i).padStart(6, '0')}`).toString('base64');
    return { id, pieces };
  });
  await stageAll(blocks, ({ id, pieces }) => stageBlock(blob, id, pieces, options, send));
  await send(({ signal }) =>
    blob.commitBlockList(
      blocks.map(({ id }) => id),
      { ...options, blobHTTPHeaders: { blobContentMD5: md5Of(data) }, abortSignal: signal },
    ),
  );
}

/** Ends when nothing is under way any more, with the first failure if there was one. */
async function stageAll<Block>(
  blocks: readonly Block[],
  stage: (block: Block) => Promise<void>,
): Promise<void> {
  const waiting = blocks.values();
  let failed = false;
  const work = async (): Promise<void> => {
    for (const block of waiting) {
      if (failed) return;
      try {
        await repeated(() => stage(block), { attempts: PART_ATTEMPTS });
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: BLOCKS_AT_ONCE }, work));
  const failure = ended.find(each => each.status === 'rejected');
  if (failure) throw failure.reason;
}

async function stageBlock(
  blob: BlockBlobClient,
  id: string,
  pieces: Pieces,
  { encryptionScope }: WriteOptions,
  send: Send,
): Promise<void> {
  const md5 = md5Of(pieces);
  await send(({ signal, alive }) =>
    blob.stageBlock(id, () => streamOf(pieces, alive), lengthOf(pieces), {
      encryptionScope,
      abortSignal: signal,
      transactionalContentMD5: md5,
    }),
  );
}
