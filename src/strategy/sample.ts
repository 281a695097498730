/** A strategy for the tests of this folder to spoil, and ways to load it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import type { Environment } from './environment.ts';
import type { StrategyError } from './faults.ts';
import { type LoadOptions, loadStrategy } from './load.ts';

export const ENVIRONMENT = {
  DATABASE_URL: 'postgresql://ann:hunter2@db/shop',
  TIDEMARK_KEY: 'k3y',
  HOME: '/people/ann',
};

const folders: string[] = [];
after(() => Promise.all(folders.map(folder => rm(folder, { recursive: true }))));

/** Writes files into a new folder and gives the strategy's path. */
export async function written(text: string, files: Record<string, string> = {}): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tidemark-strategy-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  await writeFile(path.join(folder, 'tidemark.yaml'), text);
  return path.join(folder, 'tidemark.yaml');
}

export async function load(text: string, environment: Environment = ENVIRONMENT, options?: LoadOptions) {
  return loadStrategy(await written(text), environment, options);
}

/** The faults as `line:column message`. */
export async function faults(
  text: string,
  environment: Environment = ENVIRONMENT,
  options?: LoadOptions,
): Promise<string[]> {
  try {
    await load(text, environment, options);
    return [];
  } catch (error) {
    const { code, kind, faults } = error as StrategyError;
    assert.deepEqual([code, kind], ['STRATEGY_INVALID', 'usage']);
    for (const { message, hint } of faults) {
      assert.ok(hint.length > 0);
      assert.doesNotMatch(message + hint, /hunter2|%written%|%hint%|undefined|\[object/);
    }
    return faults.map(({ line, column, message }) => `${line}:${column} ${message}`);
  }
}

export const TOP = `databases:
  shop: { url: "\${DATABASE_URL}", objectives: { rpo: 24h, rto: 2h } }
repositories:
  primary: { storage: ./backups, key: { file: ~/k } }
`;
export const BASE = `${TOP}plans:
  daily: { database: shop, schedule: "0 2 * * *", store: [primary], keep: 30d }
`;

/** BASE with more in the daily plan. */
export const withPlan = (more: string) => BASE.replace('keep: 30d', more);
/** BASE with another connection. */
export const withDatabase = (entry: string) => BASE.replace(/ {2}shop: .*/, `  shop: ${entry}`);
export const withRepository = (entry: string) => BASE.replace(/ {2}primary: .*/, `  primary: ${entry}`);
