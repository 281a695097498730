/** Secrets that stand where names, ids and paths belong are recognised, and never repeated. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSite, tidemark } from '../support/cli.ts';

test('a secret in place of a name, an id or a path is refused and not repeated', async t => {
  const site = await makeSite({ db: 'postgres://nobody@127.0.0.1:1/db' });
  t.after(() => site.remove());
  const key = (await readFile(join(site.folder, 'tidemark.key'), 'utf8')).trim();
  const secrets = ['postgres://u:hunter2@h/db', 's3://AK:hunter2@bucket', 'host=h password=hunter2', key];
  const commands = (secret: string) => [
    ...['backup', 'show', 'forget', 'verify', 'hold', 'thaw', 'lifecycle', 'repair', 'heal'].map(name => [
      name,
      secret,
    ]),
    ['restore', secret, '--new', 'x'],
    ['restore', 'db', '--new', secret],
    ['restore', 'db', '--new', 'x', '--repository', secret],
    ['restore', 'db', '--in-place', '--table', secret],
    ['export', 'db', '--format', 'plain', '--output', secret],
    ['key', 'add', 'main', '--key-file', secret],
    ['key', 'add', 'main', '--key-env', secret],
    ['list', '--repository', secret],
    ['list', '--config', secret],
    ['copy', '--from', secret, '--to', 'main'],
    ['init', '--storage', secret],
    [secret],
    ['list', 'a', 'b', secret],
    ['list', `--repositori=${secret}`],
  ];
  for (const secret of secrets) {
    for (const args of commands(secret)) {
      for (const json of [[], ['--json']]) {
        const ran = await tidemark(site.folder, [...args, ...json]);
        const all = ran.stdout + ran.stderr;
        assert.ok(!all.includes('hunter2') && !all.includes(key), `${args.join(' ')}: ${all}`);
        assert.equal(ran.code, 2, `${args.join(' ')}: ${all}`);
      }
    }
  }
});

test('a password that is not percent-encoded is recognised, and no piece of it is repeated', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-secrets-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const passwords = [
    ...['pie@ces', 'pie/ces', '12/ces', 'p@ie/ces', 'p@ie?ces=1', '/pieces', '@ces', 'a@1/ces', 'p@ie?ces'],
    ...['%zzpie/ces', 'pie:ces@x', 'p@[ces'],
  ];
  // Read as they are meant.
  const plain = ['pie?ces', 'pie#ces', '[pieces'];
  for (const password of [...passwords, ...plain]) {
    const ran = await tidemark(folder, ['init', `postgres://user:${password}@127.0.0.1:1/db`]);
    assert.notEqual(ran.code, 0);
    assert.doesNotMatch(ran.stdout + ran.stderr, /pie|ces/, `${password}: ${ran.stderr}`);
    assert.match(
      ran.stderr,
      plain.includes(password) ? /connection refused/ : /percent-encode|\[2001/,
      ran.stderr,
    );
  }
});

test('a secret in place of a path in the strategy is not repeated', async t => {
  const site = await makeSite({ db: 'postgres://nobody@127.0.0.1:1/db' });
  t.after(() => site.remove());
  const key = (await readFile(join(site.folder, 'tidemark.key'), 'utf8')).trim();
  const file = join(site.folder, 'tidemark.yaml');
  const strategy = await readFile(file, 'utf8');
  for (const [from, to] of [
    ['./tidemark.key', key],
    ['{ file: ./tidemark.key }', `{ env: "${key}" }`],
    ['./repository', 's3://AK:hunter2@bucket/x'],
    ['url: "postgres://nobody@127.0.0.1:1/db"', 'url_file: "postgres://u:hunter2@h/db"'],
    ['url: "postgres://nobody@127.0.0.1:1/db"', 'url: "mysql://u:hunter2@h/db"'],
    ['url: "postgres://nobody@127.0.0.1:1/db"', 'url: "jdbc:postgresql://h/db?user=u&password=hunter2"'],
  ] as const) {
    assert.ok(strategy.includes(from), from);
    await writeFile(file, strategy.replace(from, to));
    for (const args of [
      ['list'],
      ['check', '--online'],
      ['backup', 'db'],
      ['list', '--json'],
      ['check', '--online', '--json'],
    ]) {
      const ran = await tidemark(site.folder, args);
      const all = ran.stdout + ran.stderr;
      assert.ok(!all.includes('hunter2') && !all.includes(key), `${to} ${args.join(' ')}: ${all}`);
    }
  }
});
