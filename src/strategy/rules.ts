/** What one entry must satisfy beyond its shape. Each looks at keys that are there, whatever else is wrong with them. */
import type { Path, Report } from './faults.ts';
import { isYes } from './resolve.ts';
import { isMapping, keyOf, type Mapping, type Source } from './source.ts';
import { SAFETY_PLAN } from './spec.ts';

/** @returns whether no rule was broken; each broken one has been reported. */
export type Rule = (entry: Mapping, at: Path, source: Source) => boolean;

const PLACES = ['url', 'url_file', 'host', 'service'];
const OF_HOST_ONLY = ['host', 'port', 'user', 'dbname', 'service'];
const SCHEMES = ['postgres://', 'postgresql://'];

export const databaseRules: Rule = (entry, at, source) => {
  const reported = counting(source.report);
  const places = PLACES.filter(key => key in entry);
  const [place] = places;
  if (place === undefined)
    reported.report(
      at,
      'key',
      `${name(at)} does not say where it is`,
      'give it url, url_file, host or service',
    );
  const url = 'url' in entry ? 'url' : 'url_file' in entry ? 'url_file' : null;
  if (url) {
    for (const key of ['url_file', ...OF_HOST_ONLY].filter(key => key !== url && key in entry)) {
      reported.report(
        [...at, key],
        'key',
        `${name(at)} has both ${url} and ${key}`,
        `remove one of them; a URL says everything`,
      );
    }
  }
  if ('password' in entry && 'password_file' in entry) {
    reported.report(
      [...at, 'password_file'],
      'key',
      `${name(at)} has both password and password_file`,
      'remove one of them',
    );
  }
  const written = entry.url;
  const known = !source.missing.has(keyOf([...at, 'url']));
  if (
    typeof written === 'string' &&
    written !== '' &&
    known &&
    !SCHEMES.some(scheme => written.startsWith(scheme))
  ) {
    const hint = 'it starts with postgresql://; for other ways to connect, use host, port, user and dbname';
    reported.report([...at, 'url'], 'value', `${name(at)}: url is not a PostgreSQL URL`, hint);
  }
  if (isMapping(entry.safety) && isMapping(entry.safety.keep))
    keepRules(entry.safety.keep, [...at, 'safety', 'keep'], reported.report);
  return reported.count() === 0;
};

export const repositoryRules: Rule = (entry, at, source) => {
  if (!isMapping(entry.key)) return true;
  const given = Object.keys(entry.key);
  if (given.length === 1) return true;
  const path = [...at, 'key'];
  const hint =
    'write one of file, env, passphrase_env, passphrase_file, age_identity_file, age_identity_env and kms';
  source.report(
    path,
    'value',
    `${name(at)}: key must say one thing, it says ${given.length === 0 ? 'nothing' : given.join(' and ')}`,
    hint,
  );
  return false;
};

export const planRules: Rule = (entry, at, source) => {
  const reported = counting(source.report);
  if (isYes(entry.schema_only as boolean) && isYes(entry.data_only as boolean)) {
    const hint = 'remove both to capture definitions and rows';
    reported.report([...at, 'data_only'], 'key', `${name(at)} wants only the schema and only the data`, hint);
  }
  if (at[1] === SAFETY_PLAN) {
    const message = `a plan can't be called ${SAFETY_PLAN}: snapshots taken before a restore in place are`;
    reported.report(
      at,
      'key',
      message,
      'give it another name; what stays of those is safety.keep of a database',
    );
  }
  if (Array.isArray(entry.store)) storeRules(entry.store, entry.keep, at, reported.report);
  if (isMapping(entry.keep)) keepRules(entry.keep, [...at, 'keep'], reported.report);
  return reported.count() === 0;
};

function storeRules(store: readonly unknown[], keep: unknown, at: Path, report: Report): void {
  const names = store.map(each => (isMapping(each) ? each.repository : each));
  names.forEach((repository, i, all) => {
    if (typeof repository !== 'string' || all.indexOf(repository) === i) return;
    const message = `${name(at)} stores to ${JSON.stringify(repository)} twice`;
    report([...at, 'store', i], 'value', message, 'remove one of them');
  });
  for (const [i, each] of store.entries()) {
    if (isMapping(each) && isMapping(each.keep)) keepRules(each.keep, [...at, 'store', i, 'keep'], report);
  }
  if (keep !== undefined && store.length > 0 && store.every(each => isMapping(each) && 'keep' in each)) {
    const message = `${name(at)}: keep counts nowhere: each of its repositories has its own`;
    report([...at, 'keep'], 'key', message, 'remove it, or the one of a repository where it should count');
  }
}

function keepRules(keep: Mapping, at: Path, report: Report): void {
  if ('last' in keep && 'count' in keep) {
    report([...at, 'count'], 'key', 'keep has both last and count, which are the same', 'remove one of them');
  }
  if (Object.values(keep).every(value => value === 0 || value === '0')) {
    const hint =
      'name at least one rule, such as { daily: 7, weekly: 4, monthly: 12 }, or remove keep to keep everything';
    report(at, 'value', `${at.slice(0, 2).join('.')}: keep would keep nothing`, hint);
  }
}

function counting(report: Report): { report: Report; count(): number } {
  let count = 0;
  return {
    report(...fault) {
      count++;
      report(...fault);
    },
    count: () => count,
  };
}

function name(at: Path): string {
  return at.join('.');
}
