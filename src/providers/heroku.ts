import { depends, no, noPooler, type Provider } from './provider.ts';

/**
 * Heroku Postgres. Its hosts are Amazon's (ec2-…amazonaws.com, or Aurora's), so that a schema of its own is what tells it.
 */
export const heroku: Provider = {
  id: 'heroku',
  name: 'Heroku Postgres',
  hosts: [],
  marks: { settings: [], roles: [], schemas: ['heroku_ext'] },
  capabilities: {
    superuser: no('Heroku keeps it'),
    replicationProtocol: no('Heroku does not open replication to clients; it ships WAL itself, when asked'),
    logicalDecoding: depends('it has to be turned on for the database, where the plan offers it'),
    rolePasswords: no('only a superuser reads pg_authid'),
    extensionComments: no('extensions belong to Heroku’s superuser'),
    eventTriggers: no('it takes a superuser'),
    createDatabase: no('a Heroku database is one database: make another with heroku addons:create'),
    tablespaces: no('it takes a superuser'),
  },
  ownRoles: ['postgres', 'rdsadmin'],
  ownSchemas: ['heroku_ext', '_heroku'],
  pooler: noPooler,
  sources: [
    'https://devcenter.heroku.com/articles/heroku-postgresql',
    'https://help.heroku.com/ZOFBHJCJ/heroku-postgres-extension-changes-faq',
  ],
};
