import { depends, no, type Provider } from './provider.ts';

/** Pools have a port of their own, one above the server's. */
const POOLER_PORT = 25061;

export const digitalocean: Provider = {
  id: 'digitalocean',
  name: 'DigitalOcean',
  hosts: [/\.db\.ondigitalocean\.com$/],
  marks: { settings: [], roles: ['_doadmin_managed', '_dodb', 'doadmin'], schemas: [] },
  capabilities: {
    superuser: no('DigitalOcean keeps the role postgres; doadmin is less'),
    replicationProtocol: no('DigitalOcean does not open physical replication to clients'),
    logicalDecoding: depends('doadmin has REPLICATION, other roles do not'),
    rolePasswords: no('pg_authid is closed even to doadmin'),
    extensionComments: no("it takes the extension's owner, which is the role postgres"),
    eventTriggers: no('it takes a superuser'),
    createDatabase: depends('the role needs CREATEDB, which doadmin has'),
    tablespaces: no('it takes a superuser'),
  },
  ownRoles: ['postgres', '_dodb', '_doadmin_managed', '_doadmin_monitor'],
  ownSchemas: [],
  pooler: ({ port }) =>
    port === POOLER_PORT
      ? {
          pooler: `port ${port} is a connection pool`,
          instead: 'port 25060 of the same host, with the database’s own name instead of the pool’s',
        }
      : null,
  sources: [
    'https://docs.digitalocean.com/products/databases/postgresql/how-to/manage-connection-pools/',
    'https://github.com/orgrim/pg_back/issues/111',
    'https://github.com/dimitri/pgcopydb/issues/174',
  ],
};
