import { parseArgs } from 'node:util';
import type { Server } from '../src/postgres/server/throwaway.ts';
import { WORKS, type Work } from './budgets.ts';
import { benchServer, drop, makeApplication, makeRows, makeTables } from './database.ts';
import { formatReport, formatSample, judge, summarize } from './report.ts';
import { backUpAndRestore, runRound, type Sample } from './rounds.ts';
import { pgDumpDirectory, pgDumpZstd } from './tools/pgDump.ts';
import { restic } from './tools/restic.ts';
import { tidemark } from './tools/tidemark.ts';
import { tidemarkS3 } from './tools/tidemarkS3.ts';
import type { Tool } from './tools/tool.ts';

const USAGE = `npm run bench -- [options]
  --size <n>      1 is about 1 GB of rows (default 1)
  --runs <n>      rounds of which medians are taken (default 3)
  --only <works>  comma-separated: ${WORKS.join(', ')}; 'tables' and 'rows' are both of theirs
  --peers <names> comma-separated, of those measured besides tidemark (default: all that are installed)
  --beside <dir>  another tree of tidemark, measured in turn with this one; may be repeated
  --jobs <n>      connections that tidemark uses (default: its own choice)
  --tables <n>    how many tables the memory case has (default 10000)
  --json          print one JSON object on stdout`;

const PEERS: Tool[] = [pgDumpZstd, pgDumpDirectory, restic, tidemarkS3];

interface Options {
  size: number;
  runs: number;
  wanted: Set<Work>;
  tools: Tool[];
  tables: number;
  json: boolean;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (!options) return;
  const samples: Sample[] = [];
  const record = (sample: Sample) => {
    samples.push(sample);
    console.error(formatSample(sample));
  };
  const server = await benchServer();
  try {
    await compare(server, options, record);
    await fillMemory(server, options, record);
  } finally {
    await server.stop();
  }
  const results = summarize(samples);
  const verdicts = judge(results);
  if (options.json) console.log(JSON.stringify({ size: options.size, results, verdicts, samples }));
  else console.log(formatReport(results, verdicts));
}

/** Us and the peers, in turn, on the application's data. */
async function compare(server: Server, options: Options, record: (sample: Sample) => void): Promise<void> {
  const { wanted, runs, tools } = options;
  if (![...wanted].some(work => !work.includes(' '))) return;
  console.error('making the data …');
  await makeApplication(server, 'application', options.size);
  const source = { server, database: 'application' };
  for (let round = 0; round < runs; round++) await runRound(round, { source, tools, wanted, record });
  await drop(server, source.database);
}

/** What could make memory grow: very many tables, very many rows. */
async function fillMemory(server: Server, options: Options, record: (sample: Sample) => void): Promise<void> {
  for (const name of ['tables', 'rows'] as const) {
    if (!options.wanted.has(`${name} backup`)) continue;
    console.error(`making ${name} …`);
    if (name === 'tables') await makeTables(server, name, options.tables);
    else await makeRows(server, name, options.size);
    for (const tool of options.tools.filter(each => each.name.startsWith('tidemark') && each !== tidemarkS3))
      await backUpAndRestore(name, { server, database: name }, tool, record);
    await drop(server, name);
  }
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: '1' },
      runs: { type: 'string', default: '3' },
      only: { type: 'string' },
      peers: { type: 'string' },
      beside: { type: 'string', multiple: true, default: [] },
      jobs: { type: 'string' },
      tables: { type: 'string', default: '10000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return undefined;
  }
  const jobs = values.jobs === undefined ? undefined : Number(values.jobs);
  const ours = [tidemark(undefined, undefined, jobs), ...values.beside.map(top => besides(top, jobs))];
  return {
    size: Number(values.size),
    runs: Number(values.runs),
    wanted: new Set(WORKS.filter(work => isWanted(work, values.only?.split(',')))),
    tools: [...ours, ...installedPeers(values.peers?.split(','))],
    tables: Number(values.tables),
    json: values.json,
  };
}

/** `dir`, or `dir:jobs` to give it a number of jobs of its own. */
function besides(place: string, jobs: number | undefined): Tool {
  const [top, own] = place.split(':');
  return tidemark(place.split('/').at(-1), top, own === undefined ? jobs : Number(own));
}

const isWanted = (work: Work, only: string[] | undefined) =>
  only?.some(name => work === name || work.startsWith(`${name} `)) ?? true;

function installedPeers(wanted: string[] | undefined): Tool[] {
  return PEERS.filter(tool => {
    if (wanted && !wanted.includes(tool.name)) return false;
    if (tool.missing !== undefined)
      console.error(`${tool.name} is skipped: ${tool.missing} is not installed`);
    return tool.missing === undefined;
  });
}

await main();
