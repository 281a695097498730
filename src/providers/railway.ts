import { depends, NO_MARKS, no, noPooler, type Provider, yes } from './provider.ts';

/** Railway runs the stock PostgreSQL image in a container: its user is a superuser, but there is no way to its files. */
export const railway: Provider = {
  id: 'railway',
  name: 'Railway',
  hosts: [/\.rlwy\.net$/, /\.railway\.app$/, /\.railway\.internal$/],
  marks: NO_MARKS,
  capabilities: {
    superuser: yes('the user postgres of the container is the superuser'),
    replicationProtocol: depends(
      'pg_hba.conf of the image allows replication from the container itself only',
    ),
    logicalDecoding: depends('it needs wal_level = logical and a restart of the service'),
    rolePasswords: yes('the superuser reads pg_authid'),
    extensionComments: yes('the superuser may comment on everything'),
    eventTriggers: yes('the superuser may create them'),
    createDatabase: yes('the superuser may'),
    tablespaces: no('only one volume is kept when the container is replaced'),
  },
  ownRoles: [],
  ownSchemas: [],
  pooler: noPooler,
  sources: ['https://docs.railway.com/guides/postgresql'],
};
