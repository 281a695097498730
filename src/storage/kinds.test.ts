import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lendVariables } from './kinds.ts';

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
