import { test } from 'node:test';
import { killRandomly } from './kill.ts';

const KILLS = Number(process.env.TIDEMARK_KILLS ?? 50);

test(`tidemark is killed ${KILLS} times, and nothing it had promised is lost`, async t => {
  const seed = Number(process.env.TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`TIDEMARK_SEED=${seed}`);
  const report = await killRandomly({ kills: KILLS, seed, log: () => {} });
  t.diagnostic(JSON.stringify(report));
});
