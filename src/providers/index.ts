import { azure } from './azure.ts';
import { cloudSql } from './cloudSql.ts';
import { digitalocean } from './digitalocean.ts';
import { heroku } from './heroku.ts';
import { neon } from './neon.ts';
import type { Address, PoolerWarning, Provider, ServerMarks } from './provider.ts';
import { railway } from './railway.ts';
import { rds } from './rds.ts';
import { render } from './render.ts';
import { selfHosted } from './selfHosted.ts';
import { supabase } from './supabase.ts';
import { vercel } from './vercel.ts';

/** Every provider that can be told from others. Heroku comes first: its servers stand at Amazon's. */
export const PROVIDERS: readonly Provider[] = [
  heroku,
  vercel,
  neon,
  supabase,
  railway,
  render,
  digitalocean,
  azure,
  cloudSql,
  rds,
];

export { selfHosted };

/** What to ask a server for, so that providers can be told by it. */
export const MARKS: ServerMarks = {
  settings: PROVIDERS.flatMap(each => each.marks.settings),
  roles: PROVIDERS.flatMap(each => each.marks.roles),
  schemas: PROVIDERS.flatMap(each => each.marks.schemas),
};

export interface Evidence {
  addresses: readonly Pick<Address, 'host'>[];
  /** Without them, only host names count. */
  marks?: ServerMarks;
  superuser?: boolean;
}

/**
 * Who runs the server, the surest sign first: its schemas, the host's name, settings that only its servers know, and
 * roles of its own. `selfHosted` where nothing tells.
 */
export function detect({ addresses, marks, superuser = false }: Evidence): Provider {
  const hosts = addresses.map(({ host }) => host.toLowerCase().replace(/\.$/, ''));
  const signs: ((provider: Provider) => boolean)[] = [
    provider => common(provider.marks.schemas, marks?.schemas),
    provider => hosts.some(host => provider.hosts.some(pattern => pattern.test(host))),
    provider => common(provider.marks.settings, marks?.settings),
    provider => !superuser && common(provider.marks.roles, marks?.roles),
  ];
  for (const sign of signs) {
    const found = PROVIDERS.find(sign);
    if (found) return found;
  }
  return selfHosted;
}

function common(wanted: readonly string[], found: readonly string[] | undefined): boolean {
  return wanted.some(name => found?.includes(name));
}

/** The first of the addresses that leads to a pooler, as far as an address can tell. */
export function poolerWarning(provider: Provider, addresses: readonly Address[]): PoolerWarning | null {
  for (const address of addresses) {
    const warning = provider.pooler({ ...address, host: address.host.toLowerCase() });
    if (warning) return warning;
  }
  return null;
}
