import { usageError } from '../base/errors.ts';

/** More connections than this help no server. */
const JOBS_MAX = 64;

/** The value of `--jobs`; null where it is not given. */
export function parseJobs(option: unknown): number | null {
  if (option === undefined) return null;
  const jobs = /^\d{1,9}$/.test(String(option)) ? Number(option) : 0;
  if (jobs >= 1 && jobs <= JOBS_MAX) return jobs;
  throw usageError(
    'JOBS_INVALID',
    `--jobs is not a number from 1 to ${JOBS_MAX}`,
    'give the number of connections that may work at once',
  );
}
