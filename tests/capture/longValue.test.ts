/** One value as long as memory promises to be: it passes in pieces, whatever is done with it. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSite, tidemark } from '../support/cli.ts';
import { freshDatabase, psql } from '../support/databases.ts';
import { server } from '../support/servers.ts';

/** README: no backup, restore or verification takes more. */
const MEMORY_MIB_MAX = 512;

test('a value of 288 MB is backed up, verified, exported and restored within the memory that is promised', async t => {
  const database = await freshDatabase(await server(17));
  // As hexadecimal text, which COPY sends for bytea, it is twice as long.
  await psql(
    database.url,
    [],
    `create table public.long (id int, v bytea);
     alter table public.long alter v set storage external;
     insert into public.long select 1, decode(repeat(md5('x') || md5('y'), 9000000), 'hex')`,
  );
  const site = await makeSite({ shop: database.url });
  const target = await freshDatabase(await server(17));
  t.after(async () => {
    await site.remove();
    await target.drop();
    await database.drop();
  });
  const peaks = join(site.folder, 'peaks');
  const program = encodeURIComponent(
    `import { appendFileSync } from 'node:fs'; import { isMainThread } from 'node:worker_threads';
     if (isMainThread) process.on('exit', () => appendFileSync(${JSON.stringify(peaks)}, process.resourceUsage().maxRSS + '\\n'));`,
  ).replaceAll("'", '%27');
  const env = { NODE_OPTIONS: `--import="data:text/javascript,${program}"` };
  for (const args of [
    ['backup', 'shop'],
    ['backup', 'shop'],
    ['verify', '--all'],
    ['export', 'shop', '--format', 'custom', '--output', join(site.folder, 'custom')],
    ['export', 'shop', '--format', 'csv', '--output', join(site.folder, 'csv')],
    ['restore', 'shop', '--to', target.url, '--yes'],
  ]) {
    const ran = await tidemark(site.folder, args, env);
    assert.equal(ran.code, 0, `${args[0]}: ${ran.stderr}`);
    const kilobytes = readFileSync(peaks, 'utf8').trim().split('\n').map(Number);
    assert.ok(kilobytes.length > 0 && Math.max(...kilobytes) > 0);
    const peakMib = Math.max(...kilobytes) / 1024;
    assert.ok(peakMib < MEMORY_MIB_MAX, `${args.slice(0, 4).join(' ')} took ${peakMib.toFixed(0)} MiB`);
    rmSync(peaks);
  }
  const same = 'select md5(v) from public.long';
  assert.equal(await psql(target.url, ['-At'], same), await psql(database.url, ['-At'], same));
});
