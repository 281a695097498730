import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { lendVariables } from './kinds.ts';

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
    parseStorage('s3://bucket/folder', {});
    parseStorage('sftp://host/folder', {});
    console.log(JSON.stringify(packages));
    await import('pg');
    console.log(JSON.stringify(packages).includes('pg'));`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  assert.equal(ran.stdout, '[]\ntrue\n', ran.stderr);
});

test('a package that is not installed is named, with the command that brings it', () => {
  for (const written of ['s3://bucket/folder', 'azure://account/container']) {
    const program = `
      import { registerHooks } from 'node:module';
      registerHooks({ resolve(name, context, next) {
        if (/^(node:|[./]|file:)/.test(name)) return next(name, context);
        throw Object.assign(new Error('Cannot find package ' + name), { code: 'ERR_MODULE_NOT_FOUND' });
      } });
      const { parseStorage } = await import(${JSON.stringify(join(import.meta.dirname, 'address.ts'))});
      const { openStorage } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))});
      const error = await openStorage({ spec: parseStorage(${JSON.stringify(written)}, {}) }).catch(error => error);
      console.log(error.code, error.message, error.hint);`;
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    });
    assert.match(
      ran.stdout,
      /^STORAGE_SDK_MISSING .* need the package (@\S+), which is not installed .*npm install \1/,
      `${written}: ${ran.stderr}`,
    );
  }
});

test('what storages read reaches the process, what is set already stays, and nothing else comes', () => {
  const process: NodeJS.ProcessEnv = { AWS_REGION: 'eu-west-1' };
  const files = {
    AWS_PROFILE: 'backup',
    AWS_REGION: 'us-east-1',
    AZURE_CLIENT_ID: 'id',
    PGPASSWORD: 'secret',
  };
  lendVariables({ ...files, GOOGLE_APPLICATION_CREDENTIALS: undefined }, process);
  assert.deepEqual(process, { AWS_PROFILE: 'backup', AWS_REGION: 'eu-west-1', AZURE_CLIENT_ID: 'id' });
});
