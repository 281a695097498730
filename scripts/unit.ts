/** npm run unit: the tests that need no server and nothing installed, in one process each, all at once; some seconds. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { allTests } from './test-file.ts';
import { needsNothing } from './test-needs.ts';

const TOP = join(import.meta.dirname, '..');

process.chdir(TOP);
const files = allTests().filter(file => !file.startsWith('tests/') && needsNothing(file));
const { status } = spawnSync(process.execPath, ['--test', ...files], { cwd: TOP, stdio: 'inherit' });
process.exitCode = status ?? 1;
