import { depends, no, type Provider } from './provider.ts';

/** The port of Cloud SQL's managed connection pooling. */
const POOLER_PORT = 6432;

/** Google Cloud SQL for PostgreSQL; its hosts are addresses or the local proxy, so it is known by its marks. */
export const cloudSql: Provider = {
  id: 'cloudSql',
  name: 'Google Cloud SQL',
  hosts: [/\.sql\.goog$/],
  marks: { settings: ['cloudsql'], roles: ['cloudsqladmin', 'cloudsqlsuperuser'], schemas: [] },
  capabilities: {
    superuser: no('Google keeps cloudsqladmin; cloudsqlsuperuser is less'),
    replicationProtocol: no('Google does not open physical replication to clients'),
    logicalDecoding: depends('it needs the flag cloudsql.logical_decoding and a role with REPLICATION'),
    rolePasswords: no('pg_authid is closed to everybody but cloudsqladmin'),
    extensionComments: no('extensions belong to cloudsqladmin'),
    eventTriggers: depends('cloudsqlsuperuser may create them'),
    createDatabase: depends('the role needs CREATEDB, which cloudsqlsuperuser has'),
    tablespaces: no('it takes a superuser'),
  },
  ownRoles: [
    'cloudsqladmin',
    'cloudsqlagent',
    'cloudsqlsuperuser',
    'cloudsqliamuser',
    'cloudsqliamserviceaccount',
    'cloudsqlimportexport',
    'cloudsqlreplica',
  ],
  ownSchemas: [],
  pooler: ({ port }) =>
    port === POOLER_PORT
      ? { pooler: `port ${port} is the managed connection pool`, instead: 'port 5432' }
      : null,
  sources: ['https://cloud.google.com/sql/docs/postgres/users'],
};
