import { depends, NO_MARKS, no, noPooler, type Provider } from './provider.ts';

export const render: Provider = {
  id: 'render',
  name: 'Render',
  // Outside: dpg-x-a.oregon-postgres.render.com; from services on Render: dpg-x-a.
  hosts: [/-postgres\.render\.com$/, /^dpg-[a-z0-9]+-[a-z]$/],
  marks: NO_MARKS,
  capabilities: {
    superuser: no('Render keeps the role postgres'),
    replicationProtocol: no('Render keeps the WAL for its own point-in-time recovery'),
    logicalDecoding: depends('Render turns it on when asked, on paid plans'),
    rolePasswords: no('only a superuser reads pg_authid'),
    extensionComments: no('extensions belong to the role postgres'),
    eventTriggers: no('it takes a superuser'),
    createDatabase: depends('the role needs CREATEDB, which the first user has'),
    tablespaces: no('it takes a superuser'),
  },
  ownRoles: ['postgres'],
  ownSchemas: [],
  pooler: noPooler,
  sources: [
    'https://render.com/docs/postgresql-creating-connecting',
    'https://render.com/docs/postgresql-backups',
  ],
};
