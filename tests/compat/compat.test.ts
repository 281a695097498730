/** Repositories that earlier builds made: each must be read, verified, restored, gone on with and cleaned up for ever. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tidemark } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';
import { type Expected, fingerprintOf } from './expected.ts';

const names = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter(each => each.isDirectory())
  .map(each => each.name);
assert.ok(names.length > 0);

for (const name of names) {
  test(`${name} is read, restored and gone on with`, async t => {
    const golden = join(import.meta.dirname, name);
    const expected = JSON.parse(readFileSync(join(golden, 'expected.json'), 'utf8')) as Expected;
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-compat-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(golden, folder, { recursive: true });
    const postgres = await server(15);
    const source = await freshDatabase(postgres);
    t.after(() => source.drop());
    writeFileSync(
      join(folder, 'tidemark.yaml'),
      `databases:\n  db: { url: ${JSON.stringify(source.url)} }\nrepositories:\n  main: { storage: ./repository, key: { file: ./tidemark.key } }\n`,
    );
    const json = async (...args: string[]) => {
      const ran = await tidemark(folder, [...args, '--json']);
      assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
      return JSON.parse(ran.stdout) as Record<string, unknown>;
    };

    const { snapshots } = (await json('list')) as { snapshots: { snapshot: string }[] };
    assert.deepEqual(
      snapshots.map(each => each.snapshot).sort(),
      expected.snapshots.map(each => each.snapshot),
    );
    assert.equal((await json('verify', '--all')).ok, true);
    for (const { snapshot, tables } of expected.snapshots) {
      const target = await freshDatabase(postgres);
      t.after(() => target.drop());
      await json('restore', snapshot, '--to', target.url);
      assert.deepEqual(await fingerprintOf(target.url), tables);
    }
    // What is there is gone on with: the newest content again adds next to nothing.
    const newest = expected.snapshots.at(-1)!;
    await json('restore', newest.snapshot, '--to', source.url);
    const again = (await json('backup', 'db')) as { bytesRead: number; bytesAdded: number };
    assert.ok(
      again.bytesAdded < again.bytesRead / 3,
      `${again.bytesAdded} of ${again.bytesRead} bytes were added`,
    );
    await query(source.url, 'drop table if exists nothing');
    await json('prune', '--yes');
    assert.equal((await json('verify', '--all')).ok, true);
  });
}
