/** Prisma with its engine in WebAssembly, which comes in its package; DATABASE_URL and MIGRATIONS are the test's. */
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';

const CHAR = 18;
const TEXT = 25;

/** The engine reads catalogs whose columns are of type "char", which the adapter doesn't know. */
class Pool extends pg.Pool {
  async query(...parameters) {
    const result = await super.query(...parameters);
    for (const field of result.fields ?? []) {
      if (field.dataTypeID === CHAR) field.dataTypeID = TEXT;
    }
    return result;
  }
}

export default {
  schema: 'schema.prisma',
  migrations: { path: process.env.MIGRATIONS },
  experimental: { adapter: true },
  engine: 'js',
  adapter: async () =>
    new PrismaPg(new Pool({ connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 50 })),
};
