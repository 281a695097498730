import { type Address, depends, no, type PoolerWarning, type Provider } from './provider.ts';

/** The port of both poolers in transaction mode: Supavisor, and the PgBouncer beside the database. */
const TRANSACTION_PORT = 6543;

export const supabase: Provider = {
  id: 'supabase',
  name: 'Supabase',
  hosts: [/\.supabase\.(co|com|red)$/],
  marks: { settings: ['supautils'], roles: ['supabase_admin'], schemas: [] },
  capabilities: {
    superuser: no('Supabase keeps supabase_admin; postgres is less'),
    replicationProtocol: no('Supabase keeps the WAL for its own point-in-time recovery'),
    logicalDecoding: depends('the role needs REPLICATION, and the connection must be direct'),
    rolePasswords: no('pg_authid is closed to everybody but supabase_admin'),
    extensionComments: no('extensions belong to supabase_admin'),
    eventTriggers: depends('supautils lets postgres create them since 2025'),
    createDatabase: depends('postgres may, but Supabase’s services only see the database postgres'),
    tablespaces: no('it takes a superuser'),
  },
  ownRoles: [
    'supabase_admin',
    'supabase_auth_admin',
    'supabase_storage_admin',
    'supabase_functions_admin',
    'supabase_replication_admin',
    'supabase_read_only_user',
    'supabase_realtime_admin',
    'supabase_etl_admin',
    'authenticator',
    'authenticated',
    'anon',
    'service_role',
    'dashboard_user',
    'pgbouncer',
  ],
  ownSchemas: [
    'auth',
    'storage',
    'realtime',
    '_realtime',
    'vault',
    'extensions',
    'graphql',
    'graphql_public',
    'pgbouncer',
    'pgsodium',
    'pgsodium_masks',
    'supabase_functions',
    'supabase_migrations',
    'cron',
    'net',
    '_analytics',
  ],
  pooler: supabasePooler,
  sources: [
    'https://supabase.com/docs/guides/database/connecting-to-postgres',
    'https://supabase.com/docs/guides/database/postgres/roles-superuser',
    'https://github.com/supabase/supautils#non-superuser-event-triggers',
    'https://github.com/supabase/cli (pkg/migration/dump.go)',
  ],
};

function supabasePooler({ host, port, user }: Address): PoolerWarning | null {
  if (port !== TRANSACTION_PORT) return null;
  const pooler = `port ${port} is the pooler in transaction mode`;
  if (!host.endsWith('.pooler.supabase.com')) return { pooler, instead: `${host}:5432` };
  const [, project] = /\.([a-z0-9]+)$/.exec(user) ?? [];
  const direct = project ? `db.${project}.supabase.co:5432` : 'the direct address';
  return { pooler, instead: `${host}:5432, its session mode, or ${direct} (IPv6 only)` };
}
