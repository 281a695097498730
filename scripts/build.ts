/** Compiles the package into dist/, queries beside the code that runs them, as `npm pack` ships it. */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const TOP = join(import.meta.dirname, '..');

rmSync(join(TOP, 'dist'), { recursive: true, force: true });
const compiled = spawnSync(join(TOP, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: TOP,
  stdio: 'inherit',
});
for (const file of globSync('**/*.sql', { cwd: join(TOP, 'src') }))
  cpSync(join(TOP, 'src', file), join(TOP, 'dist', file));
process.exitCode = compiled.status ?? 1;
