import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { builtIn, findPgDump, installedPgDumps } from './tool.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tidemark-tools-'));
});
after(() => rm(folder, { recursive: true }));

/** A program that says it is that pg_dump. */
async function program(name: string, says: string): Promise<string> {
  const bin = path.join(folder, name);
  await mkdir(bin, { recursive: true });
  await writeFile(path.join(bin, 'pg_dump'), `#!/bin/sh\necho '${says}'\n`);
  await chmod(path.join(bin, 'pg_dump'), 0o755);
  return bin;
}

test('the newest that is new enough, as PATH has it', async () => {
  const older = await program('97.2', 'pg_dump (PostgreSQL) 97.2');
  const newer = await program('97.10', 'pg_dump (PostgreSQL) 97.10 (Debian 97.10-1.pgdg12+1)');
  const beta = await program('98beta1', 'pg_dump (PostgreSQL) 98beta1');
  const broken = await program('broken', 'no');
  const PATH = [older, newer, broken, folder, newer].join(':');
  const best = await findPgDump(97, { PATH });
  assert.deepEqual(best, { kind: 'native', version: '97.10', major: 97, path: `${newer}/pg_dump` });
  assert.equal((await findPgDump(15, { PATH: `${PATH}:${beta}` })).version, '98beta1');
  await assert.rejects(findPgDump(99, { PATH }), {
    code: 'CLIENT_TOO_OLD',
    message: /no pg_dump can read a PostgreSQL 99 server: found 97\.10 \(.*\), 97\.2 \(.*18\.3 \(built in\)/,
    hint: /apt install postgresql-client-99/,
  });
});

test("Debian's wrapper is not asked", async () => {
  const bin = await program('wrapped', 'pg_dump (PostgreSQL) 96.0');
  await writeFile(path.join(folder, 'pg_wrapper'), "#!/bin/sh\necho 'pg_dump (PostgreSQL) 96.0'\n", {
    mode: 0o755,
  });
  await rm(path.join(bin, 'pg_dump'));
  await symlink(path.join(folder, 'pg_wrapper'), path.join(bin, 'pg_dump'));
  assert.ok((await installedPgDumps({ PATH: bin })).every(tool => tool.major !== 96));
});

test('TIDEMARK_PG_DUMP wins, and must work', async () => {
  const chosen = path.join(await program('chosen', 'pg_dump (PostgreSQL) 16.1'), 'pg_dump');
  const PATH = await program('other', 'pg_dump (PostgreSQL) 97.1');
  assert.equal((await findPgDump(15, { PATH, TIDEMARK_PG_DUMP: chosen })).path, chosen);
  await assert.rejects(findPgDump(17, { PATH, TIDEMARK_PG_DUMP: chosen }), {
    code: 'CLIENT_TOO_OLD',
    message: /found 16\.1 \(/,
  });
  const unusable = { PATH, TIDEMARK_PG_DUMP: path.join(folder, 'absent') };
  await assert.rejects(findPgDump(15, unusable), { code: 'PG_DUMP_UNUSABLE' });
});

test('the built-in one says the version that it has', () => {
  assert.deepEqual(
    builtIn().map(({ kind, version, major }) => [kind, version, major]),
    [['wasm', '18.3', 18]],
  );
});
