import { depends, no, type Provider } from './provider.ts';

/** The PgBouncer that comes with a flexible server. */
const POOLER_PORT = 6432;

/** Azure Database for PostgreSQL, flexible server. */
export const azure: Provider = {
  id: 'azure',
  name: 'Azure Database for PostgreSQL',
  hosts: [/\.postgres\.database\.azure\.com$/, /\.postgres\.database\.chinacloudapi\.cn$/],
  marks: { settings: ['azure'], roles: ['azuresu', 'azure_pg_admin'], schemas: [] },
  capabilities: {
    superuser: no('Microsoft keeps azuresu; azure_pg_admin is less'),
    replicationProtocol: no('Microsoft does not open physical replication to clients'),
    logicalDecoding: depends('it needs wal_level = logical and a role with REPLICATION'),
    rolePasswords: no('pg_authid is closed to everybody but azuresu'),
    extensionComments: no('extensions belong to azuresu'),
    eventTriggers: depends('whether azure_pg_admin may create them depends on the version of the service'),
    createDatabase: depends('the role needs CREATEDB, which the administrator has'),
    tablespaces: no('it takes a superuser'),
  },
  ownRoles: ['azuresu', 'azure_pg_admin', 'azure_superuser'],
  ownSchemas: [],
  pooler: ({ port }) =>
    port === POOLER_PORT
      ? { pooler: `port ${port} is the built-in PgBouncer`, instead: 'port 5432 of the same host' }
      : null,
  sources: [
    'https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-servers',
    'https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-pgbouncer',
  ],
};
