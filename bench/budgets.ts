import type { ToolName } from './tools/tool.ts';

/** Work that is measured; the order is the one in which a run does it. */
export const WORKS = [
  'first',
  'restore',
  'verify',
  'unchanged',
  'newest',
  'scattered',
  'tables backup',
  'tables restore',
  'rows backup',
  'rows restore',
] as const;
export type Work = (typeof WORKS)[number];

export const WORK_TITLES: Record<Work, string> = {
  first: 'first backup',
  restore: 'restore into a new database, 2 jobs',
  verify: 'check of everything stored',
  unchanged: 'second backup, nothing changed',
  newest: 'backup after the newest 1 % of documents were updated',
  scattered: 'backup after every 100th document was updated',
  'tables backup': 'backup of many tables',
  'tables restore': 'restore of many tables',
  'rows backup': 'backup of one table of small rows',
  'rows restore': 'restore of one table of small rows',
};

/** Of one figure: ours divided by the peer's, or ours alone where there is no peer. */
export interface Budget {
  work: Work;
  /** Absent: `tidemark`. */
  tool?: ToolName;
  against: ToolName | null;
  /** `speed` is the peer's time divided by ours; the others are ours divided by the peer's. */
  figure: 'speed' | 'time' | 'bytes' | 'peakBytes';
  atLeast?: number;
  atMost?: number;
}

const IN_A_BUCKET: readonly Work[] = ['first', 'restore', 'verify', 'unchanged', 'newest', 'scattered'];
const PEAK_BYTES = 512 << 20;

/** The figures to reach. Bytes are those the backup added to what is stored. */
export const BUDGETS: readonly Budget[] = [
  { work: 'first', against: 'pg_dump | zstd', figure: 'speed', atLeast: 1.4 },
  { work: 'first', against: 'pg_dump | zstd', figure: 'bytes', atMost: 1 },
  { work: 'first', against: 'pg_dump -Fd', figure: 'speed', atLeast: 4 },
  { work: 'first', against: 'pg_dump -Fd', figure: 'bytes', atMost: 1 },
  { work: 'first', against: 'restic', figure: 'speed', atLeast: 2 },
  { work: 'first', against: 'restic', figure: 'bytes', atMost: 1 },
  { work: 'unchanged', against: 'restic', figure: 'time', atMost: 0.75 },
  { work: 'unchanged', against: 'restic', figure: 'bytes', atMost: 1 },
  { work: 'newest', against: 'restic', figure: 'time', atMost: 0.75 },
  { work: 'newest', against: 'restic', figure: 'bytes', atMost: 1 },
  { work: 'scattered', against: 'restic', figure: 'bytes', atMost: 0.3 },
  { work: 'restore', against: 'pg_dump -Fd', figure: 'speed', atLeast: 1.3 },
  { work: 'first', tool: 'tidemark s3', against: 'tidemark', figure: 'time', atMost: 1.25 },
  ...WORKS.map(work => ({ work, against: null, figure: 'peakBytes' as const, atMost: PEAK_BYTES })),
  ...IN_A_BUCKET.map(work => ({
    ...{ work, tool: 'tidemark s3' as const, against: null },
    ...{ figure: 'peakBytes' as const, atMost: PEAK_BYTES },
  })),
];
