import { depends, no, type Provider } from './provider.ts';

/** `ep-x-pooler.region.aws.neon.tech` is PgBouncer in transaction mode; without `-pooler` it is the server. */
export const isNeonPooler = (host: string): boolean => /^[^.]+-pooler\./.test(host);
export const withoutNeonPooler = (host: string): string => host.replace(/^([^.]+)-pooler\./, '$1.');

export const neon: Provider = {
  id: 'neon',
  name: 'Neon',
  hosts: [/\.neon\.tech$/, /\.neon\.build$/],
  marks: { settings: ['neon'], roles: ['neon_superuser', 'cloud_admin'], schemas: [] },
  capabilities: {
    superuser: no('Neon keeps cloud_admin; neon_superuser is less'),
    replicationProtocol: no('pages lie in Neon’s storage: there are no files to copy and no WAL to stream'),
    logicalDecoding: depends('logical replication has to be turned on for the project, for good'),
    rolePasswords: depends('the owner that Neon made (neondb_owner) reads pg_authid, other roles do not'),
    extensionComments: no('extensions belong to cloud_admin'),
    eventTriggers: depends('neon_superuser may create them'),
    createDatabase: depends('members of neon_superuser may'),
    tablespaces: no('there is no file system to put them on'),
  },
  ownRoles: ['cloud_admin', 'neon_superuser', 'neon_service'],
  ownSchemas: ['neon', 'neon_migration'],
  pooler: ({ host }) =>
    isNeonPooler(host)
      ? {
          pooler: 'a host with -pooler is PgBouncer in transaction mode',
          instead: withoutNeonPooler(host),
        }
      : null,
  sources: [
    'https://neon.com/docs/reference/compatibility',
    'https://neon.com/docs/connect/connection-pooling',
    'https://neon.com/blog/postgres-event-triggers',
    'https://github.com/neondatabase/neon/issues/12136',
  ],
};
