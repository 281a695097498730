import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Archive, ArchiveEntry } from '../postgres/archive/entry.ts';
import { requireReadableStrings, type TargetProfile } from './profile.ts';

const profile = (serverMajor: number): TargetProfile => ({
  serverMajor,
  superuser: true,
  lz4: true,
  memberOf: new Set<string>(),
  roles: new Set(),
});

const archive = (setting: 'on' | 'off'): Archive => ({
  header: {} as Archive['header'],
  entries: [
    { desc: 'STDSTRINGS', defn: `SET standard_conforming_strings = '${setting}';\n` } as ArchiveEntry,
  ],
  text: 'UTF8',
});

test('literals with escapes are refused where the server no longer reads them', () => {
  assert.throws(() => requireReadableStrings(archive('off'), profile(19)), {
    code: 'STRINGS_NOT_STANDARD',
    kind: 'usage',
    message: /standard_conforming_strings = off, which PostgreSQL 19 no longer reads/,
  });
  requireReadableStrings(archive('off'), profile(18));
  requireReadableStrings(archive('on'), profile(19));
});
