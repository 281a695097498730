import assert from 'node:assert/strict';
import { test } from 'node:test';
import { azure } from './azure.ts';
import { cloudSql } from './cloudSql.ts';
import { digitalocean } from './digitalocean.ts';
import { heroku } from './heroku.ts';
import { detect, PROVIDERS, selfHosted } from './index.ts';
import { neon } from './neon.ts';
import { checkProvider, type ProviderSample } from './provider.contract.ts';
import { railway } from './railway.ts';
import { rds } from './rds.ts';
import { render } from './render.ts';
import { supabase } from './supabase.ts';
import { vercel } from './vercel.ts';

const SAMPLES: ProviderSample[] = [
  {
    provider: selfHosted,
    hosts: [],
    poolers: [
      ['u@db.example.com:5432', null],
      ['u@db.example.com:6432', '5432'],
    ],
  },
  {
    provider: rds,
    hosts: ['shop.c9akciq32.eu-west-1.rds.amazonaws.com', 'a.cluster-c9.us-east-1.rds.amazonaws.com'],
    poolers: [
      ['u@shop.c9akciq32.eu-west-1.rds.amazonaws.com:5432', null],
      ['u@shop.proxy-c9akciq32.eu-west-1.rds.amazonaws.com:5432', 'own endpoint'],
    ],
  },
  {
    provider: cloudSql,
    hosts: ['abc123.def456.europe-west1.sql.goog'],
    poolers: [
      ['u@10.0.0.5:5432', null],
      ['u@10.0.0.5:6432', '5432'],
    ],
  },
  {
    provider: azure,
    hosts: ['shop.postgres.database.azure.com'],
    poolers: [
      ['u@shop.postgres.database.azure.com:5432', null],
      ['u@shop.postgres.database.azure.com:6432', '5432'],
    ],
  },
  {
    provider: neon,
    hosts: ['ep-cool-dawn-1234.eu-central-1.aws.neon.tech'],
    poolers: [
      ['u@ep-cool-dawn-1234.eu-central-1.aws.neon.tech:5432', null],
      [
        'u@ep-cool-dawn-1234-pooler.eu-central-1.aws.neon.tech:5432',
        'ep-cool-dawn-1234.eu-central-1.aws.neon.tech',
      ],
    ],
  },
  {
    provider: vercel,
    hosts: ['ep-x-1.us-east-1.postgres.vercel-storage.com'],
    poolers: [
      ['u@ep-x-1.us-east-1.postgres.vercel-storage.com:5432', null],
      ['u@ep-x-1-pooler.us-east-1.postgres.vercel-storage.com:5432', 'ep-x-1.us-east-1.postgres'],
    ],
  },
  {
    provider: supabase,
    hosts: ['db.abcdefghijklm.supabase.co', 'aws-0-eu-central-1.pooler.supabase.com'],
    poolers: [
      ['postgres@db.abcdefghijklm.supabase.co:5432', null],
      ['postgres@db.abcdefghijklm.supabase.co:6543', 'db.abcdefghijklm.supabase.co:5432'],
      ['postgres.abcdefghijklm@aws-0-eu-central-1.pooler.supabase.com:5432', null],
      [
        'postgres.abcdefghijklm@aws-0-eu-central-1.pooler.supabase.com:6543',
        'aws-0-eu-central-1.pooler.supabase.com:5432, its session mode, or db.abcdefghijklm.supabase.co:5432',
      ],
      ['postgres@aws-0-eu-central-1.pooler.supabase.com:6543', 'the direct address'],
    ],
  },
  {
    provider: railway,
    hosts: ['roundhouse.proxy.rlwy.net', 'postgres.railway.internal'],
    poolers: [['postgres@roundhouse.proxy.rlwy.net:23456', null]],
  },
  {
    provider: render,
    hosts: ['dpg-c0ffee123-a.oregon-postgres.render.com', 'dpg-c0ffee123-a'],
    poolers: [['u@dpg-c0ffee123-a:5432', null]],
  },
  {
    provider: digitalocean,
    hosts: ['shop-do-user-1-0.b.db.ondigitalocean.com', 'private-shop-do-user-1-0.b.db.ondigitalocean.com'],
    poolers: [
      ['doadmin@shop-do-user-1-0.b.db.ondigitalocean.com:25060', null],
      ['doadmin@shop-do-user-1-0.b.db.ondigitalocean.com:25061', '25060'],
    ],
  },
  {
    provider: heroku,
    hosts: [],
    alsoShows: { settings: ['rds'], roles: ['rdsadmin'] },
    poolers: [['u@ec2-1-2-3-4.compute-1.amazonaws.com:5432', null]],
  },
];

test('every provider keeps the contract', async t => {
  const sampled = SAMPLES.map(each => each.provider.id).sort();
  assert.deepEqual(sampled, [selfHosted, ...PROVIDERS].map(each => each.id).sort());
  for (const sample of SAMPLES) await t.test(sample.provider.id, () => checkProvider(sample));
});

test('a Heroku database at Amazon’s is Heroku’s, and a role that a restore brought says nothing', () => {
  const none = { settings: [], roles: [], schemas: [] };
  const addresses = [{ host: 'x.cluster-y.us-east-1.rds.amazonaws.com' }];
  assert.equal(detect({ addresses, marks: { ...none, schemas: ['heroku_ext'] } }), heroku);
  assert.equal(detect({ addresses }), rds);
  const own = [{ host: 'db.example.com' }];
  assert.equal(
    detect({ addresses: own, marks: { ...none, roles: ['rdsadmin'] }, superuser: true }),
    selfHosted,
  );
});
