/** The program as its user meets it: help, manners, exit codes, and the way from init to a restored database. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { parseEnv } from 'node:util';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { COMPILED, type Ran, tidemark } from '../support/cli.ts';
import { freshDatabase, psql } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const BIN = join(import.meta.dirname, '../../bin');
const ROWS = 1200;
const TABLES = `
  create table public.orders (id int primary key, note text);
  insert into public.orders select g, repeat('größe ', 20) || g from generate_series(1, ${ROWS}) g;
  create table public.empty (id int);
  create index on public.orders (note);
  select lo_from_bytea(0, 'twelve bytes');
`;

interface Place {
  folder: string;
  run(...args: string[]): Promise<Ran>;
  json<T = Record<string, never>>(...args: string[]): Promise<T>;
  /** Files below the folder, but for those of .git. */
  files(): Promise<string[]>;
}

async function place(t: TestContext, env: Record<string, string> = {}): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-cli-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const run = (...args: string[]) => tidemark(folder, args, env);
  return {
    folder,
    run,
    async json<T>(...args: string[]) {
      const ran = await run(...args, '--json');
      assert.equal(ran.code, 0, ran.stdout + ran.stderr);
      return JSON.parse(ran.stdout) as T;
    },
    async files() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const names = entries.map(each => join(each.parentPath, each.name).slice(folder.length + 1));
      return names.filter(name => !name.startsWith('.git/') && name !== '.git').sort();
    },
  };
}

async function database(name?: string): Promise<string> {
  // It goes with its server.
  const made = await freshDatabase(await server(17), name);
  await psql(made.url, [], TABLES);
  return made.url;
}

/** It failed as a user should see it: a code, what failed, and what to do. */
function failed(ran: Ran, code: number, error: string): void {
  assert.equal(ran.code, code, ran.stdout + ran.stderr);
  assert.match(ran.stderr, new RegExp(`^tidemark: .*[^.\\n] \\[${error}\\]\n {2}\\S`, 'm'), ran.stderr);
}

test('every command explains itself', async t => {
  const { run } = await place(t);
  const top = await run('--help');
  assert.equal(top.code, 0);
  for (const name of Object.keys(COMMANDS)) {
    assert.match(top.stdout, new RegExp(`^ +${name}\\b`, 'm'));
    const { code, stdout, stderr } = await run(name, '--help');
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`Usage: tidemark ${name} `));
    assert.match(stdout, /--json/);
    assert.equal(stderr, '');
  }
  assert.match((await run('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('what nobody knows is refused with exit code 2', async t => {
  const { run, files } = await place(t);
  for (const args of [['nonsense'], ['list', '--nonsense'], ['backup'], ['show'], ['init', 'a', 'b'], []]) {
    const ran = await run(...args);
    assert.equal(ran.code, 2, `${args}: ${ran.stdout}${ran.stderr}`);
    assert.notEqual(ran.stderr, '');
  }
  assert.deepEqual(await files(), []);
});

test('from init to a restored database', async t => {
  const url = await database();
  const { folder, run, json, files } = await place(t);
  execFileSync('git', ['init', '-q'], { cwd: folder });
  const name = decodeURIComponent(url.split('/').at(-1)!);

  const made = await run('init', url);
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.stderr, '');
  const keyFile = join(folder, `.config/tidemark/${name}.key`);
  const key = (await readFile(keyFile, 'utf8')).trim();
  const kit = join(folder, `.config/tidemark/${name}.kit.txt`);
  assert.ok(made.stdout.includes(`wrote the recovery kit of primary (it has the key) to ${kit}\n`));
  assert.ok(!made.stdout.replace(/\s/g, '').includes(key.slice(15)), 'the key is in no log');
  const page = await readFile(kit, 'utf8');
  assert.ok(page.replace(/\s/g, '').includes(key), 'the kit shows the key');
  assert.match(page, /git clone/);
  assert.doesNotMatch(page, /npm install --global/);
  assert.equal((await stat(kit)).mode & 0o777, 0o600);
  assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
  assert.equal((await stat(join(folder, '.env'))).mode & 0o777, 0o600);
  assert.equal(parseEnv(await readFile(join(folder, '.env'), 'utf8')).DATABASE_URL, url);
  assert.equal(
    await readFile(join(folder, '.gitignore'), 'utf8'),
    `.env\n/tidemark-backups/\n/.config/tidemark/${name}.key\n/.config/tidemark/${name}.kit.txt\n`,
  );
  assert.ok(!(await readFile(join(folder, 'tidemark.yaml'), 'utf8')).includes(url));
  assert.ok(!(await files()).some(file => file.endsWith('.tmp')));

  assert.equal((await run('check')).code, 0);
  const checked = await json<{ ok: boolean; findings: { check: string; level: string }[] }>(
    'check',
    '--online',
  );
  assert.ok(checked.ok);
  // One folder beside the database is no 3-2-1, and there is no snapshot yet.
  const warnings = checked.findings.filter(each => each.level !== 'ok').map(each => each.check);
  assert.deepEqual(warnings, ['3-2-1', 'newest']);
  assert.ok(checked.findings.some(each => each.check === 'storage'));
  assert.ok(!(await files()).some(file => /leases\/check\/./.test(file)), 'the probe is gone');

  const next = made.stdout.trimEnd().split('\n').at(-1)!.trim();
  assert.match(next, /^tidemark backup /);
  assert.equal(shell(folder, next).status, 0);
  const listed = await run('list');
  assert.equal(listed.stdout.split('\n').length, 3);
  const { snapshots } = await json<{ snapshots: { snapshot: string }[] }>('list', name);
  await shown(await json<Shown>('show', name), snapshots[0]!.snapshot);
  assert.match((await run('show', snapshots[0]!.snapshot)).stdout, /^public\.orders +1 200 /m);

  const restored = await run('restore', name, '--new', `${name} again`);
  assert.equal(restored.code, 0, restored.stderr);
  const again = (await server(17)).url(`${name} again`);
  assert.equal(
    (await psql(again, ['-Atc', 'select count(*), max(note) from orders'])).split('|')[0],
    `${ROWS}`,
  );
});

interface Shown {
  snapshot: string;
  tables: { schema: string; name: string; rows: number; bytes: number; storedBytes: number }[];
  largeObjects: { count: number };
  storedBytesBy: string;
  source: { provider: string; encoding: string };
  objects: Record<string, number>;
  roles: { name: string }[];
  counts: { bytesAdded: number };
}

async function shown(found: Shown, snapshot: string): Promise<void> {
  assert.equal(found.snapshot, snapshot);
  const [orders, empty] = found.tables;
  assert.deepEqual([orders!.name, orders!.rows], ['orders', ROWS]);
  assert.deepEqual([empty!.name, empty!.rows, empty!.bytes, empty!.storedBytes], ['empty', 0, 0, 0]);
  assert.ok(orders!.storedBytes > 0 && orders!.storedBytes < orders!.bytes);
  assert.ok(orders!.storedBytes <= found.counts.bytesAdded);
  assert.equal(found.largeObjects.count, 1);
  assert.equal(found.storedBytesBy, 'segments');
  assert.deepEqual([found.source.provider, found.source.encoding], ['selfHosted', 'UTF8']);
  assert.deepEqual(found.objects, { TABLE: 2, CONSTRAINT: 1, INDEX: 1 });
  assert.ok(found.roles.some(role => role.name === 'postgres'));
}

/** Runs what was printed as it would be typed. */
function shell(cwd: string, script: string, env: Record<string, string> = {}) {
  const path = `${BIN}:${process.env.PATH}`;
  return spawnSync('sh', ['-euc', script], { cwd, env: { HOME: cwd, PATH: path, ...env }, encoding: 'utf8' });
}

test('the recovery kit alone brings everything back', async t => {
  const name = `it's "odd" \${HOME} größe`;
  const url = await database(name);
  const { folder, run } = await place(t);
  const { code, stdout, stderr } = await run('init', url);
  assert.equal(code, 0, stderr);
  const [, kit] = /^wrote the recovery kit of primary .* to (.*)$/m.exec(stdout)!;
  const [, steps] = /\n(umask 077\n[\s\S]*?)\n\n/.exec(await readFile(kit!, 'utf8'))!;
  assert.equal(
    shell(folder, stdout.trimEnd().split('\n').at(-1)!.trim()).status,
    0,
    'the next step it names',
  );

  const fresh = await mkdtemp(join(tmpdir(), 'tidemark-fresh-'));
  t.after(() => rm(fresh, { recursive: true, force: true }));
  const target = await freshDatabase(await server(17));
  const recovery = steps!.replace('postgresql://USER@HOST:5432/EMPTY_DATABASE', target.url);
  assert.notEqual(recovery, steps);
  const recovered = shell(fresh, recovery);
  assert.equal(recovered.status, 0, recovered.stdout + recovered.stderr);
  assert.equal((await psql(target.url, ['-Atc', 'select count(*) from orders'])).trim(), `${ROWS}`);
});

test('init changes nothing that is there, and makes what is missing', async t => {
  const url = await database();
  const { folder, run, json, files } = await place(t, { DATABASE_URL: url });
  const first = await json<{ repositories: { id: string; key: object }[]; variable: null }>(
    'init',
    '--name',
    'shop',
  );
  assert.equal(first.variable, null, 'DATABASE_URL is there already');
  assert.deepEqual(first.repositories[0]!.key, {
    ...{ kind: 'file', path: join(folder, '.config/tidemark/shop.key'), made: true },
  });
  const before = await contents(folder, await files());
  const second = await run('init', url);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /tidemark\.yaml is there already and was not changed/);
  assert.ok(!second.stdout.includes('recovery kit'));
  for (const option of ['--name', '--storage', '--key-file'])
    failed(await run('init', option, 'other'), 2, 'STRATEGY_EXISTS');
  assert.deepEqual(await contents(folder, await files()), before);

  const strategy = join(folder, 'tidemark.yaml');
  const more = (await readFile(strategy, 'utf8')).replace(
    'repositories:\n',
    'repositories:\n  offsite: { storage: ./elsewhere/deep, key: { file: other.key } }\n  words: { storage: ./words, key: { passphrase_env: WORDS } }\n',
  );
  await writeFile(strategy, more);
  failed(await run('init'), 2, 'KEY_MISSING');
  assert.ok(
    !existsSync(join(folder, 'elsewhere')) && !existsSync(join(folder, 'other.key')),
    'all or nothing',
  );
  await writeFile(join(folder, '.env'), 'WORDS=five words are long enough\n');
  const third = await run('init');
  assert.equal(third.code, 0, third.stderr);
  assert.match(third.stdout, /made repository offsite/);
  assert.match(third.stdout, /made repository words/);
  assert.match(third.stdout, /repository primary in .* is there already/);
  assert.equal(third.stdout.match(/wrote the recovery kit of/g)?.length, 2);
  assert.equal(await readFile(strategy, 'utf8'), more);
  assert.equal((await run('check', '--online')).code, 0);
});

async function contents(folder: string, names: string[]): Promise<[string, string | null][]> {
  const read = (name: string) => readFile(join(folder, name), 'latin1').catch(() => null);
  return Promise.all(names.map(async name => [name, await read(name)] as [string, string | null]));
}

test('a repository that is there is opened with its key, and never gets a new one', async t => {
  const url = await database();
  const { folder, run, json, files } = await place(t, { DATABASE_URL: url });
  const { repositories } = await json<{ repositories: { id: string }[] }>('init', '--name', 'shop');
  await rm(join(folder, 'tidemark.yaml'));
  const again = await json<{ repositories: { id: string; made: boolean }[] }>(
    'init',
    '--name',
    'shop',
    '--show-key',
  );
  assert.equal(again.repositories[0]!.id, repositories[0]!.id);
  assert.equal(again.repositories[0]!.made, false);
  assert.match(JSON.stringify(again), /tidemark-key-1:/);

  await rm(join(folder, 'tidemark.yaml'));
  failed(await run('init', '--name', 'shop', '--key-file', 'new.key'), 2, 'KEY_MISSING');
  assert.ok(
    !(await files()).some(name => name === 'new.key' || name === 'tidemark.yaml' || name.endsWith('.tmp')),
  );
});

test('where init fails, nothing is left behind', async t => {
  const url = await database();
  const { folder, run, files } = await place(t);
  execFileSync('git', ['init', '-q'], { cwd: folder });
  const nothing = async (code: number, error: string, ...args: string[]) => {
    const before = await contents(folder, await files());
    failed(await run('init', ...args), code, error);
    assert.deepEqual(await contents(folder, await files()), before, error);
  };
  await nothing(2, 'URL_NEEDED');
  await nothing(2, 'CONNECTION_STRING', 'host=localhost dbname=x');
  await nothing(1, 'CONNECTION_REFUSED', 'postgresql://u:geheim@127.0.0.1:1/x');
  await nothing(1, 'DATABASE_NOT_FOUND', `${dirname(url)}/nonexistent`);
  await nothing(2, 'STORAGE_INVALID', url, '--storage', 'ftp://bucket/x');
  await nothing(2, 'NAME_INVALID', url, '--name', 'a/b');
  await nothing(2, 'FOLDER_MISSING', url, '--config', 'no/where.yaml');
  if (process.platform === 'linux') await nothing(1, 'STORAGE', url, '--storage', '/proc/none/x');
  await writeFile(join(folder, 'file'), 'not empty');
  await nothing(2, 'STORAGE_NOT_A_FOLDER', url, '--storage', 'file');
  await nothing(2, 'KEY_MALFORMED', url, '--key-file', 'file');
  await nothing(2, 'KEY_UNREADABLE', url, '--key-file', 'file/x.key');
  await nothing(2, 'KEY_IN_STORAGE', url, '--key-file', 'tidemark-backups/x.key');
  await mkdir(join(folder, 'full'));
  await writeFile(join(folder, 'full/file'), 'not empty');
  await nothing(2, 'STORAGE_NOT_EMPTY', url, '--storage', 'full');
  await mkdir(join(folder, 'dir.key'));
  await nothing(2, 'KEY_UNREADABLE', url, '--key-file', 'dir.key');
  await writeFile(join(folder, '.env'), 'A=1\n', { mode: 0o644 });
  await nothing(2, 'STORAGE_NOT_EMPTY', url, '--storage', 'full');
  assert.equal((await stat(join(folder, '.env'))).mode & 0o777, 0o644);
  // What others put where init writes is not waited for.
  const odd = await place(t);
  execFileSync('git', ['init', '-q'], { cwd: odd.folder });
  execFileSync('mkfifo', [join(odd.folder, '.gitignore')]);
  failed(await odd.run('init', url), 2, 'GITIGNORE_UNWRITABLE');
  assert.deepEqual(await odd.files(), ['.gitignore']);
});

test('a wrong password leaves nothing, and is never shown', async t => {
  const rules = await mkdtemp(join(tmpdir(), 'tidemark-hba-'));
  await chmod(rules, 0o755);
  const hba = join(rules, 'pg_hba.conf');
  await writeFile(hba, 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n', { mode: 0o644 });
  const guarded = await server(17, { configuration: { listen_addresses: '127.0.0.1', hba_file: hba } });
  await psql(guarded.url(), ['-c', "create role app login password 'right'"]);
  const { run, files } = await place(t);
  const at = `127.0.0.1:${guarded.port}/postgres?sslmode=disable`;
  const ran = await run('init', `postgresql://app:ver%20kehrt@${at}`);
  failed(ran, 1, 'PASSWORD_WRONG');
  assert.ok(!/ver.*kehrt/.test(ran.stdout + ran.stderr));
  assert.deepEqual(await files(), []);
  // The right one is accepted, though the role may not read passwords: that is a warning.
  const right = await run('init', `postgresql://app:right@${at}`);
  assert.equal(right.code, 0, right.stderr);
  assert.match(right.stdout, /^warning: roles are captured without their passwords/m);
  assert.ok(!right.stdout.includes('right@'));
});

test('DATABASE_URL that means another database is left alone; PG* variables do too', async t => {
  const url = await database();
  const { folder, run } = await place(t);
  await writeFile(join(folder, '.env'), "DATABASE_URL='postgresql://other/app'");
  const made = await run('init', url, '--name', 'rephlo');
  assert.equal(made.code, 0, made.stderr);
  const variables = parseEnv(await readFile(join(folder, '.env'), 'utf8'));
  assert.deepEqual({ ...variables }, { DATABASE_URL: 'postgresql://other/app', REPHLO_DATABASE_URL: url });
  assert.match(await readFile(join(folder, 'tidemark.yaml'), 'utf8'), /url: \$\{REPHLO_DATABASE_URL\}/);

  const shared = await server(17);
  const name = decodeURIComponent(url.split('/').at(-1)!);
  const parts = await place(t, { PGHOST: shared.socketDir, PGDATABASE: name, PGUSER: 'postgres' });
  assert.equal((await parts.run('init')).code, 0);
  assert.match(
    await readFile(join(parts.folder, 'tidemark.yaml'), 'utf8'),
    /host: \$\{PGHOST\}\n {4}user: \$\{PGUSER\}\n {4}dbname: \$\{PGDATABASE\}\n/,
  );
  assert.equal((await parts.run('check', '--online')).code, 0);
});

for (const name of ['my db', 'größe 数据', `"; drop table x; --'`, '-x', 'a/b', '<<', ' 1 ']) {
  test(`a database called ${name} goes all the way`, async t => {
    const url = await database(name);
    const { folder, run } = await place(t);
    const made = await run('init', url);
    assert.equal(made.code, 0, made.stderr);
    const next = made.stdout.trimEnd().split('\n').at(-1)!.trim();
    const backup = shell(folder, next);
    assert.equal(backup.status, 0, next + backup.stderr);
    const known = name.replace('/', '-');
    const { stdout } = await run('show', '--json', '--', known);
    assert.equal((JSON.parse(stdout) as { source: { database: string } }).source.database, name);
  });
}

test('check tells an invalid strategy from a fault', async t => {
  const url = await database();
  const { folder, run } = await place(t, { DATABASE_URL: url });
  assert.equal((await run('init', '--name', 'shop')).code, 0);
  const key = join(folder, '.config/tidemark/shop.key');
  await chmod(key, 0o644);
  const open = await run('check');
  assert.equal(open.code, 0);
  assert.match(open.stdout, /^warning: repository primary, key file: chmod 600 /m);

  const whole = await readFile(key, 'utf8');
  await writeFile(key, whole.replace(/.:(\w{8})$/m, '7:$1'));
  const mistyped = await run('check', '--online', '--json');
  assert.equal(mistyped.code, 3);
  assert.match(mistyped.stdout, /mistyped/);
  await rm(key);
  assert.equal((await run('check')).code, 3);
  await mkdir(key);
  assert.match((await run('check')).stdout, /key +fault +the key file .* can't be read/);
  await rm(key, { recursive: true });
  await writeFile(key, whole, { mode: 0o600 });
  await rm(join(folder, 'tidemark-backups/repository.json'));
  const gone = await run('check', '--online');
  assert.equal(gone.code, 3);
  assert.match(gone.stdout, /repository +fault +repository\.json is not in/);

  await writeFile(join(folder, 'tidemark.yaml'), 'databases: {}\nnonsense: 1\n');
  failed(await run('check'), 2, 'STRATEGY_INVALID');
  failed(await run('check', '--config', 'none.yaml'), 2, 'STRATEGY_MISSING');
});

test('check names what a backup would fail on', async t => {
  const url = await database();
  await psql(url, ['-c', 'create role cli_limited login; grant select on public.empty to cli_limited']);
  const { run } = await place(t, { DATABASE_URL: `${url}?user=cli_limited` });
  const made = await run('init', '--name', 'shop');
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^fault: role cli_limited may not read public\.orders$/m);
  const checked = await run('check', '--online');
  assert.equal(checked.code, 3);
  assert.match(checked.stdout, /^fault: database shop, read access: GRANT pg_read_all_data/m);
  failed(await run('backup', 'shop', '--plan', 'daily'), 1, 'PRIVILEGE_MISSING');
});

test('--json is exactly one object, whatever happens', async t => {
  const url = await database();
  const { folder, run } = await place(t, { DATABASE_URL: url });
  const runs = [
    ['init', '--name', 'shop'],
    ['init'],
    ['check', '--online'],
    ['list'],
    ['backup', 'shop', '--plan', 'daily'],
    ['show', 'shop'],
    ['restore', 'shop', '--new', `${url.split('/').at(-1)} copy`],
    ['show', 'nonsense'],
    ['backup', 'nonsense'],
    ['list', '--nonsense'],
    ['list', '--config', 'none.yaml'],
  ];
  for (const args of runs) {
    const { stdout } = await run(...args, '--json');
    assert.equal(stdout.split('\n').length, 2, `${args}: ${stdout}`);
    assert.equal(typeof JSON.parse(stdout), 'object', `${args}`);
    assert.ok(!stdout.includes('tidemark-key-1'), `${args} shows the key`);
  }
  const storage = new LocalStorage(join(folder, 'tidemark-backups'));
  assert.ok(await storage.stat('repository.json'));
});

/** It gives a program a terminal. */
const SCRIPT = spawnSync('script', ['--version']).status === 0;

test('a reader that has seen enough is no failure, a full disk is one', {
  skip: !existsSync('/dev/full'),
}, async t => {
  const { folder, run } = await place(t);
  await run('init', await database());
  const shell = (line: string) =>
    spawnSync('bash', ['-c', `set -o pipefail; ${line}`], {
      ...{ cwd: folder, encoding: 'utf8' },
      env: { PATH: process.env.PATH, HOME: folder },
    });
  const head = shell(`for i in 1 2 3; do ${BIN}/tidemark check; done | true`);
  assert.deepEqual([head.status, head.stderr], [0, '']);
  for (const json of ['', '--json']) {
    const full = shell(`${BIN}/tidemark check ${json} > /dev/full`);
    assert.equal(full.status, 1);
    assert.match(full.stderr, /standard output: ENOSPC \[OUTPUT_UNWRITTEN\]\n {2}/);
  }
});

test('colours only on a terminal, and never with NO_COLOR', { skip: !SCRIPT && 'no script' }, async t => {
  const { folder } = await place(t);
  const onTerminal = (env: string) =>
    shell(folder, `script -qec '${env} tidemark list' /dev/null`, { TERM: 'xterm' }).stdout;
  assert.ok(!(await tidemark(folder, ['list'])).stderr.includes('\x1b['));
  assert.ok(onTerminal('').includes('\x1b['));
  assert.ok(!onTerminal('NO_COLOR=1').includes('\x1b['));
  assert.ok(!onTerminal('TERM=dumb').includes('\x1b['));
});

test('of several inits at once one wins, and the others spoil nothing', async t => {
  const url = await database();
  const { folder, run, files } = await place(t);
  const all = await Promise.all([1, 2, 3, 4].map(() => run('init', url)));
  assert.ok(
    all.some(ran => ran.code === 0),
    all[0]!.stderr,
  );
  for (const ran of all) if (ran.code !== 0) failed(ran, 2, 'INIT_RUNNING');
  assert.equal((await run('check', '--online')).code, 0);
  assert.ok(!(await files()).includes('.tidemark-init.lock'));
  await writeFile(join(folder, '.tidemark-init.lock'), '4194305'); // no process can have that id
  assert.equal((await run('init')).code, 0);
  const lock = join(folder, '.tidemark-init.lock');
  await writeFile(lock, String(process.pid));
  failed(await run('init'), 2, 'INIT_RUNNING');
  await writeFile(lock, '');
  failed(await run('init'), 2, 'INIT_RUNNING');
  await utimes(lock, 1, 1); // it is not being written any more
  assert.equal((await run('init')).code, 0);
});

test('an interruption of init leaves nothing', async t => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  t.after(() => silent.close());
  await once(silent, 'listening');
  const { folder, files } = await place(t);
  const { port } = silent.address() as AddressInfo;
  const args = ['init', `postgresql://u@127.0.0.1:${port}/x`, '--json'];
  const child = spawn(join(BIN, 'tidemark'), args, {
    cwd: folder,
    env: { HOME: folder, PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILED },
  });
  await once(silent, 'connection');
  child.kill('SIGINT');
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  assert.equal(code, 130);
  assert.equal((JSON.parse(output) as { error: { code: string } }).error.code, 'INTERRUPTED');
  assert.deepEqual(await files(), []);
});
