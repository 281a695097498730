import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { fingerprint, judgeHostKey, keyType, knownName, knownTypes, parseKnownHosts } from './knownHosts.ts';

const key = (type: string, fill: number): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(type.length);
  return Buffer.concat([head, Buffer.from(type), Buffer.alloc(32, fill)]);
};
const [first, second] = [key('ssh-ed25519', 1), key('ssh-ed25519', 2)];
const line = (hosts: string, of = first, marker = ''): string =>
  `${marker}${hosts} ${keyType(of)} ${of.toString('base64')} a comment`;

function verdict(lines: string[], host: string, port = 22, shown = first): string {
  const known = parseKnownHosts(lines.join('\n'), 'known_hosts');
  const found = judgeHostKey(known, knownName(host, port), shown);
  return 'where' in found ? `${found.is}: ${found.where}` : found.is;
}

test('a host is known by its name, whatever its case, and by patterns', () => {
  assert.equal(verdict([line('host.example,10.0.0.1')], 'Host.Example'), 'known');
  assert.equal(verdict([line('HOST.example')], 'host.example'), 'known');
  assert.equal(verdict([line('*.example')], 'host.example'), 'known');
  assert.equal(verdict([line('host?.example')], 'host1.example'), 'known');
  assert.equal(verdict([line('host?.example')], 'host.example'), 'unknown');
  assert.equal(verdict([line('host.example')], 'hostXexample'), 'unknown');
  assert.equal(verdict([line('*.example,!bad.example')], 'bad.example'), 'unknown');
  assert.equal(verdict([line('2001:db8::1')], '2001:db8::1'), 'known');
});

test('another port is another host', () => {
  assert.equal(verdict([line('[host]:2222')], 'host', 2222), 'known');
  assert.equal(verdict([line('[host]:2222')], 'host'), 'unknown');
  assert.equal(verdict([line('host')], 'host', 2222), 'unknown');
  assert.equal(verdict([line('[2001:db8::1]:2222')], '2001:db8::1', 2222), 'known');
});

test('a hashed name is one', () => {
  const salt = Buffer.alloc(20, 7);
  const hash = createHmac('sha1', salt).update('[host]:2222').digest('base64');
  const hashed = line(`|1|${salt.toString('base64')}|${hash}`);
  assert.equal(verdict([hashed], 'host', 2222), 'known');
  assert.equal(verdict([hashed], 'host'), 'unknown');
});

test('another key is a change, which names every line, unless one of them has it', () => {
  const lines = ['# a comment', '', line('host', second), line('host', key('ssh-rsa', 3))];
  assert.equal(verdict(lines, 'host'), 'changed: known_hosts line 3,known_hosts line 4');
  assert.equal(verdict([...lines, line('host')], 'host'), 'known');
});

test('a revoked key is refused, whatever else is known', () => {
  const lines = [line('host'), line('*', first, '@revoked ')];
  assert.equal(verdict(lines, 'host'), 'revoked: known_hosts line 2');
  assert.equal(verdict(lines, 'host', 22, second), 'changed: known_hosts line 1');
  assert.equal(verdict([line('*', first, '@revoked ')], 'host', 22, second), 'unknown');
});

test('certificates and lines that are none count for nothing', () => {
  assert.equal(
    verdict([line('host', first, '@cert-authority '), 'host', 'host ssh-ed25519'], 'host'),
    'unknown',
  );
});

test('the types that are known are those to ask for', () => {
  const known = parseKnownHosts(
    [line('host'), line('host', key('ssh-rsa', 1)), line('other')].join('\n'),
    'f',
  );
  assert.deepEqual(knownTypes(known, 'host'), ['ssh-ed25519', 'ssh-rsa']);
});

test('a fingerprint is what ssh-keygen -l shows', () => {
  assert.match(fingerprint(first), /^SHA256:[A-Za-z0-9+/]{43}$/);
  assert.equal(keyType(first), 'ssh-ed25519');
});
