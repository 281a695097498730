import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { LocalStorage } from '../../storage/local/storage.ts';
import type { PutOptions } from '../../storage/storage.ts';
import { RepositoryKeys } from '../keys/keys.ts';
import { newSessionId } from '../manifest.ts';
import { SnapshotReader } from '../read/reader.ts';
import { putOptions, type StoragePolicy } from '../storagePolicy.ts';
import { appendRows, newFolder, tableRows } from '../testing/sample.ts';
import { ChunkWriter } from './chunkWriter.ts';
import { PackAssembler } from './packAssembler.ts';
import { PackWriter } from './packWriter.ts';

/** A folder that remembers how each object was to be put. */
class Noting extends LocalStorage {
  readonly options = new Map<string, PutOptions>();

  override put(name: string, data: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    this.options.set(name, options);
    return super.put(name, data);
  }
}

test('only rows go to the class of rows; lists are in packs of their own, and all is locked', async () => {
  const storage = new Noting(newFolder());
  const keys = new RepositoryKeys([randomBytes(32)], randomBytes(16).toString('hex'));
  const session = newSessionId(new Date());
  const sessionSalt = randomBytes(16);
  const policy: StoragePolicy = { storageClass: 'COLD', lock: { mode: 'governance', forMs: 60_000 } };
  const assembler = new PackAssembler(storage, session, content => putOptions(policy, content));
  let packs = 0;
  const nextPack = () => ++packs;
  const shared = { keys: keys.current, session, sessionSalt, level: 1, nextPack, output: assembler };
  const writer = new ChunkWriter(new PackWriter({ ...shared, content: 'rows' }));
  const rows = tableRows(200_000, 1);
  const stream = appendRows(writer, rows);
  writer.flush();
  const describing = new ChunkWriter(new PackWriter({ ...shared, content: 'any' }));
  describing.begin();
  describing.appendStream(randomBytes(2_000_000));
  const described = describing.finish('stream');
  describing.flush();
  await assembler.finish();

  const { ref } = stream;
  assert.ok('at' in ref && 'at' in described.ref, 'both lists are segments');
  const lists = new Set([ref, described.ref].map(each => ('at' in each ? each.at[1] : 0)));
  for (const [name, { storageClass, lock }] of storage.options) {
    const number = Number(name.split('/').at(-1));
    assert.equal(storageClass, lists.has(number) ? undefined : 'COLD', name);
    assert.equal(lock?.mode, 'governance');
  }
  assert.equal(storage.options.size, assembler.sizes.size);
  const table = {
    sessions: { [session]: sessionSalt.toString('hex') },
    packs: [...assembler.sizes].map(([number, size]): [string, number, number] => [session, number, size]),
  };
  const reader = new SnapshotReader(storage, keys, table, { verifyIds: true });
  assert.ok((await reader.whole(ref, 'rows')).equals(Buffer.concat(rows)));
});
