/**
 * The environment that makes a libpq program (pg_dump, psql) connect as `connect` does.
 * Source: https://www.postgresql.org/docs/current/libpq-envars.html ("Environment Variables").
 */
import { isLocal } from './hosts.ts';
import type { ConnectionSettings } from './settings.ts';

/**
 * @param inherited what the program should find besides; of it every PG* variable is left out, so that no PGSERVICE or
 * PGHOSTADDR of the caller's joins in. Give the result as the whole environment, never on top of process.env.
 *
 * The password goes in PGPASSWORD, or stays in the password file that PGPASSFILE names. libpq has no variable for
 * sslpassword and keepalives: an encrypted client key can't be handed over this way.
 */
export function clientEnvironment(
  settings: ConnectionSettings,
  inherited: NodeJS.ProcessEnv = {},
): Record<string, string> {
  const { hosts } = settings;
  const addresses = hosts.map(host => host.address ?? '');
  const own: Record<string, string | undefined> = {
    PGHOST: hosts.map(host => host.host).join(','),
    PGHOSTADDR: addresses.every(address => address === '') ? undefined : addresses.join(','),
    PGPORT: hosts.map(host => host.port).join(','),
    PGDATABASE: settings.database,
    PGUSER: settings.user,
    PGPASSWORD: settings.password,
    PGPASSFILE: settings.passfile,
    PGSSLMODE:
      hosts.every(isLocal) || !['allow', 'prefer'].includes(settings.sslmode) ? settings.sslmode : 'require',
    PGSSLROOTCERT: settings.sslrootcert,
    PGSSLCRL: settings.sslcrl,
    PGSSLCERT: settings.sslcert,
    PGSSLKEY: settings.sslkey,
    PGSSLNEGOTIATION: settings.sslnegotiation === 'direct' ? 'direct' : undefined,
    PGSSLMINPROTOCOLVERSION: settings.sslMinVersion,
    PGSSLMAXPROTOCOLVERSION: settings.sslMaxVersion,
    PGCHANNELBINDING: settings.channelBinding,
    PGREQUIREAUTH: settings.requireAuth?.join(','),
    PGGSSENCMODE: 'disable', // as here, where GSSAPI is not spoken
    PGTARGETSESSIONATTRS: settings.targetSessionAttrs,
    PGLOADBALANCEHOSTS: settings.loadBalanceHosts === 'random' ? 'random' : undefined,
    PGCONNECT_TIMEOUT:
      settings.connectTimeoutMs > 0 ? String(Math.ceil(settings.connectTimeoutMs / 1000)) : undefined,
    PGOPTIONS: settings.options,
    PGAPPNAME: settings.applicationName ?? 'tidemark',
  };
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    if (value !== undefined && !name.startsWith('PG')) environment[name] = value;
  }
  for (const [name, value] of Object.entries(own)) if (value !== undefined) environment[name] = value;
  return environment;
}
