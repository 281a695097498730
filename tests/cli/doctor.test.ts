import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { DoctorResult } from '../../src/operations/doctor/doctor.ts';
import { tidemark } from '../support/cli.ts';
import { startSshd } from '../support/sshd.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-doctor-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const sshd = await startSshd();
after(() => sshd.stop());

writeFileSync(
  join(folder, 'tidemark.yaml'),
  `databases: {}
repositories:
  main: { storage: ./repository, key: { env: NOT_SET }, limit: 1MB/s }
  small: { storage: ./small, key: { env: NOT_SET } }
  offsite:
    storage: sftp://${sshd.user}@127.0.0.1:${sshd.port}/~/backups
    key: { env: NOT_SET }
    credentials: { private_key_file: ${sshd.privateKeyFile}, known_hosts: ${sshd.knownHosts} }
  away:
    storage: sftp://${sshd.user}@127.0.0.1:${sshd.port}/~/others
    key: { env: NOT_SET }
    credentials: { private_key_file: ${sshd.privateKeyFile}, known_hosts: /dev/null }
`,
);
const doctor = (...args: string[]) => tidemark(folder, ['doctor', 'storage', ...args]);

test('it says in words and in JSON what a storage does, without a key and without a repository', async () => {
  const ran = await doctor('main');
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^ok +of many that put the same object with ifAbsent at once, one wins$/m);
  assert.match(ran.stdout, /^conditional writes +yes$/m);
  assert.match(ran.stdout, /^put +\S+ .B\/s/m);
  assert.match(ran.stdout, /^all \d+ laws are kept: /m);
  assert.deepEqual(readdirSync(join(folder, 'repository')), ['.unfinished']);
});

test('on sshd', async () => {
  const ran = await doctor('offsite', '--json');
  assert.equal(ran.code, 0, ran.stdout);
  const result = JSON.parse(ran.stdout) as DoctorResult;
  assert.deepEqual(
    [result.ok, result.kind, result.repository, result.conditionalWrites],
    [true, 'sftp', 'offsite', true],
  );
  assert.equal(result.place, `sftp://${sshd.user}@127.0.0.1:${sshd.port}/~/backups`);
  assert.deepEqual([result.left, result.classes, result.locks, result.thaw], [[], [], false, false]);
  assert.ok(result.laws.every(each => each.ok && each.error === null));
  assert.ok(result.requests.put! > 200 && result.seconds > 0 && result.speed.sizeBytes === 16 * 1024 * 1024);
  assert.deepEqual(readdirSync(join(sshd.home, 'backups')), ['.unfinished']);
});

test('what can not be tried at all is an error', async () => {
  const away = await doctor('away', '--json');
  assert.equal(away.code, 2);
  assert.equal(JSON.parse(away.stdout).error.code, 'SSH_HOST_KEY_UNKNOWN');
  const unknown = await doctor('nowhere');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /the strategy has no repository "nowhere"/);
});

/** Why no small disk can be mounted here, if none can. */
function diskLacks(path: string): string | false {
  mkdirSync(path);
  const options = ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path];
  const mounted = spawnSync('mount', options, { encoding: 'utf8' });
  return mounted.status !== 0 && `mounting a small disk is not permitted here: ${mounted.stderr.trim()}`;
}

const small = join(folder, 'small');
const skip = diskLacks(small);

test('a storage that can’t do what backups need is a fault', { skip }, async () => {
  try {
    const ran = await doctor('small', '--json');
    const result = JSON.parse(ran.stdout) as DoctorResult & { error?: { code: string } };
    // Two megabytes hold no pack: not even the speed can be measured.
    assert.equal(ran.code, 1);
    assert.equal(result.error?.code, 'STORAGE_FULL');
    assert.deepEqual(readdirSync(small), ['.unfinished']);
    execFileSync('mount', ['-o', 'remount,size=64m,nr_inodes=60', small]);
    const cramped = await doctor('small', '--json');
    assert.equal(cramped.code, 3, cramped.stdout);
    const { ok, laws } = JSON.parse(cramped.stdout) as DoctorResult;
    assert.equal(ok, false);
    assert.deepEqual(
      laws.filter(each => !each.ok).map(each => [each.law, each.error?.code]),
      [['many objects at once', 'STORAGE_FULL']],
    );
    assert.deepEqual(readdirSync(small), ['.unfinished']);
    const told = await doctor('small');
    assert.match(told.stdout, /^BROKEN +many objects at once$/m);
    assert.match(told.stdout, /^1 of \d+ laws are broken/m);
  } finally {
    execFileSync('umount', ['-l', small]);
  }
});
