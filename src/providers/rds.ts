import { depends, no, type Provider, yes } from './provider.ts';

/** Amazon RDS for PostgreSQL and Aurora, which differ in nothing that counts here. */
export const rds: Provider = {
  id: 'rds',
  name: 'Amazon RDS',
  hosts: [/\.rds\.amazonaws\.com$/, /\.rds\.amazonaws\.com\.cn$/],
  marks: { settings: ['rds'], roles: ['rdsadmin', 'rds_superuser'], schemas: [] },
  capabilities: {
    superuser: no('rdsadmin is the only superuser, and Amazon keeps it; rds_superuser is less'),
    replicationProtocol: no('Amazon does not open physical replication to clients'),
    logicalDecoding: depends('it needs rds.logical_replication = 1 and the role rds_replication'),
    rolePasswords: no('pg_authid is closed to everybody but rdsadmin'),
    extensionComments: no('extensions belong to rdsadmin'),
    eventTriggers: depends('rds_superuser may create them'),
    createDatabase: depends('the role needs CREATEDB, which the master user has'),
    tablespaces: yes('they are accepted for compatibility: everything lies on one volume'),
  },
  ownRoles: ['rdsadmin', 'rds_superuser', 'rds_replication', 'rds_password', 'rds_iam', 'rds_ad'],
  ownSchemas: [],
  pooler: ({ host }) =>
    /\.proxy-[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com(\.cn)?$/.test(host)
      ? { pooler: 'the host is an RDS Proxy', instead: "the instance's own endpoint (without .proxy-)" }
      : null,
  sources: [
    'https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html',
    'https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.FeatureSupport.EventTriggers.html',
    'https://github.com/orgrim/pg_back/issues/167',
  ],
};
