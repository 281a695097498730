/** Each promise in docs/promises.md names a test; that test is there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../src/cli/commands/index.ts';

const TOP = join(import.meta.dirname, '..');
const page = readFileSync(join(TOP, 'docs/promises.md'), 'utf8');
const rows = page.split('\n').filter(line => line.startsWith('| ') && !line.startsWith('| promise |'));

test('every promise names a test that there is', () => {
  assert.ok(rows.length > 60);
  for (const row of rows) {
    const [, file, title] = /\| `([^`]+)`: (.+) \|$/.exec(row) ?? [];
    assert.ok(file && title, `no test in: ${row}`);
    const path = join(TOP, file);
    assert.ok(existsSync(path), `${file} is not there`);
    assert.ok(readFileSync(path, 'utf8').includes(title), `${file} has no test "${title}"`);
  }
});

test('every command that works on backups has promises', () => {
  const told =
    page
      .split('\n')
      .filter(line => line.startsWith('#'))
      .join(' ') + rows.join(' ');
  for (const command of Object.keys(COMMANDS).filter(name => name !== 'demo'))
    assert.match(told, new RegExp(`\\b${command}\\b`), command);
});
