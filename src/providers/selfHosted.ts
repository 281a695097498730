import { depends, NO_MARKS, type Provider, yes } from './provider.ts';

/** PgBouncer's port, where nothing else is known. */
const PGBOUNCER_PORT = 6432;

const BY_ROLE = 'the server is yours: only the rights of the role count';

/** A server of one's own, or one whose host nobody here knows. */
export const selfHosted: Provider = {
  id: 'selfHosted',
  name: 'a server of your own',
  hosts: [],
  marks: NO_MARKS,
  capabilities: {
    superuser: yes('whoever runs the server has its superuser'),
    replicationProtocol: depends('the role needs REPLICATION, and pg_hba.conf a line for replication'),
    logicalDecoding: depends('it needs wal_level = logical and a role with REPLICATION'),
    rolePasswords: depends('only a superuser reads pg_authid'),
    extensionComments: depends("it takes the extension's owner or a superuser"),
    eventTriggers: depends('it takes a superuser'),
    createDatabase: depends(BY_ROLE),
    tablespaces: depends('it takes a superuser and a folder on the server'),
  },
  ownRoles: [],
  ownSchemas: [],
  pooler: ({ port }) =>
    port === PGBOUNCER_PORT
      ? { pooler: `port ${port} is usually PgBouncer`, instead: "the server's own port, usually 5432" }
      : null,
  sources: [
    'https://www.postgresql.org/docs/current/role-attributes.html',
    'https://www.pgbouncer.org/config.html',
  ],
};
