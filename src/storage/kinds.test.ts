import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('knowing the kinds of storages loads no package', () => {
  const address = JSON.stringify(join(import.meta.dirname, 'address.ts'));
  const program = `
    import { registerHooks } from 'node:module';
    const packages = [];
    registerHooks({ resolve(name, context, next) {
      const found = next(name, context);
      if (found.url.includes('/node_modules/')) packages.push(name);
      return found;
    } });
    const { parseStorage } = await import(${address});
    parseStorage('azure://account/container', {});
    parseStorage('gs://bucket/folder', {});
    console.log(JSON.stringify(packages));
    await import('pg');
    console.log(JSON.stringify(packages).includes('pg'));`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  assert.equal(ran.stdout, '[]\ntrue\n', ran.stderr);
});
