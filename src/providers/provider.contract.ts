import assert from 'node:assert/strict';
import { detect } from './index.ts';
import { CAPABILITIES, type Provider, type ServerMarks } from './provider.ts';

/** What a provider's test knows about it from outside. */
export interface ProviderSample {
  provider: Provider;
  /** Addresses it gave to somebody. */
  hosts: string[];
  /** Beside its own marks: what its servers show that others' show too. */
  alsoShows?: Partial<ServerMarks>;
  /** Addresses as `user@host:port`, and a piece of where to connect instead; null for the server itself. */
  poolers: [address: string, instead: string | null][];
}

/** Host names that look like a provider's and are not. */
const IMPOSTORS = ['localhost', '10.0.0.7', 'db.example.com', '/var/run/postgresql', ''];

/** What holds for every provider. */
export function checkProvider({ provider, hosts, alsoShows, poolers }: ProviderSample): void {
  assert.match(provider.id, /^[a-z][a-zA-Z]+$/);
  assert.ok(provider.sources.length > 0, 'facts without a source');
  assert.deepEqual(Object.keys(provider.capabilities).sort(), [...CAPABILITIES].sort());
  for (const [name, { granted, reason }] of Object.entries(provider.capabilities)) {
    assert.ok(['yes', 'no', 'depends'].includes(granted), name);
    assert.match(reason, /^\S.{8,100}[^.\s]$/s, `${name}: ${reason}`);
  }
  for (const pattern of provider.hosts) assert.ok(pattern.source.endsWith('$'), `${pattern} has no end`);
  if (provider.capabilities.superuser.granted === 'yes') assert.deepEqual(provider.marks.roles, []);

  for (const host of hosts) {
    assert.equal(detect({ addresses: [{ host }] }).id, provider.id, host);
    assert.equal(detect({ addresses: [{ host: `${host.toUpperCase()}.` }] }).id, provider.id, `${host}.`);
    assert.notEqual(detect({ addresses: [{ host: `${host}.evil.example` }] }).id, provider.id);
  }
  for (const host of IMPOSTORS) assert.equal(detect({ addresses: [{ host }] }).id, 'selfHosted', host);
  checkMarks(provider, alsoShows ?? {});
  for (const [address, instead] of poolers) {
    const [, user, host, port] = /^(.*)@(.*):(\d+)$/.exec(address)!;
    const warning = provider.pooler({ user: user!, host: host!, port: Number(port) });
    if (instead === null) assert.equal(warning, null, address);
    else assert.ok(warning?.instead.includes(instead), `${address}: ${warning?.instead}`);
  }
}

/** Each mark alone tells the provider, behind a host name that says nothing. */
function checkMarks(provider: Provider, also: Partial<ServerMarks>): void {
  const addresses = [{ host: '127.0.0.1' }];
  for (const kind of ['settings', 'roles', 'schemas'] as const) {
    for (const mark of provider.marks[kind]) {
      const marks: ServerMarks = { settings: [], roles: [], schemas: [], ...also, [kind]: [mark] };
      assert.equal(detect({ addresses, marks }).id, provider.id, mark);
      const asSuperuser = detect({ addresses, marks: { ...marks }, superuser: true }).id;
      assert.equal(asSuperuser, kind === 'roles' ? 'selfHosted' : provider.id, mark);
    }
  }
}
