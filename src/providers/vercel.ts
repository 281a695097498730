import { isNeonPooler, neon, withoutNeonPooler } from './neon.ts';
import { NO_MARKS, type Provider } from './provider.ts';

/** Vercel Postgres is Neon under Vercel's names; what is bought through Vercel today has Neon's own. */
export const vercel: Provider = {
  ...neon,
  id: 'vercel',
  name: 'Vercel Postgres (Neon)',
  hosts: [/\.postgres\.vercel-storage\.com$/],
  marks: NO_MARKS,
  pooler: ({ host }) =>
    isNeonPooler(host)
      ? {
          pooler: 'a host with -pooler is PgBouncer in transaction mode',
          instead: `${withoutNeonPooler(host)}, which is in POSTGRES_URL_NON_POOLING`,
        }
      : null,
  sources: [...neon.sources, 'https://vercel.com/docs/postgres'],
};
