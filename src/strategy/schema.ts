/**
 * The shape of the strategy file, once: it checks what was written, types it, and becomes the JSON Schema for editors.
 * It converts nothing; what is written becomes what is meant in resolve.ts.
 */
import * as z from 'zod';
import { readSize, SIZE_PATTERN } from '../base/size.ts';
import { parseCron } from './cron.ts';
import { DURATION_PATTERN, readDuration } from './duration.ts';
import { isOthersHome, isVariableName } from './environment.ts';
import { parseServiceKey, SERVICE_KEY_FORMS } from './kms.ts';
import { readSpan, SPAN_PATTERN } from './span.ts';

const MAX_NAME_LENGTH = 63;
const MAX_JOBS = 64;
const MAX_COMPRESSION_LEVEL = 19;
const MAX_KEPT = 1_000_000;

/** In messages, this stands for the value as it was written; never used where that could be a secret. */
export const WRITTEN = '%written%';

/** In messages, what follows it is the hint; without it, the hint is the description of what may stand there. */
export const HINT = '%hint%';

/** For editors, which see `${NAME}` where the program sees what it stands for. */
const REFERENCE_PATTERN = '\\$\\{';

const text = () =>
  z
    .string()
    .refine(value => value.trim() !== '', { error: 'must not be empty' })
    .meta({ pattern: '\\S' });

const filePath = () =>
  text().refine(value => !isOthersHome(value), {
    error: `names another user's home directory, which is not looked up${HINT}write the whole path`,
  });

const duration = () =>
  z
    .string()
    .refine(value => (readDuration(value) ?? 0) > 0, {
      error: `${WRITTEN} is not a duration${HINT}write a number and its unit, such as 15m, 24h, 7d or 2w`,
    })
    .meta({ pattern: `^${DURATION_PATTERN}$|${REFERENCE_PATTERN}` });

/** What keeps everything until it is forgotten by hand. */
export const FOREVER = 'forever';

const isSpan = (text: string) => {
  const span = readSpan(text);
  return span !== null && span.months + span.ms > 0;
};

const span = () =>
  z
    .string()
    .refine(isSpan, {
      error: `${WRITTEN} is not a length of time${HINT}write a number and its unit, such as 24h, 30d, 4w, 3mo or 7y`,
    })
    .meta({ pattern: `^${SPAN_PATTERN}$|${REFERENCE_PATTERN}` });

const size = (what: string, example: string, end = '') =>
  z
    .string()
    .refine(value => value.endsWith(end) && (readSize(value.slice(0, value.length - end.length)) ?? 0) > 0, {
      error: `${WRITTEN} is not ${what}${HINT}write a number and its unit, such as ${example}`,
    })
    .meta({ pattern: `^${SIZE_PATTERN}${end}$|${REFERENCE_PATTERN}` });

const whole = (from: number, to: number) => {
  const error = `must be a whole number from ${from} to ${to}`;
  const written = z
    .string()
    .refine(value => /^[0-9]{1,9}$/.test(value) && Number(value) >= from && Number(value) <= to, { error })
    .meta({ pattern: `^[0-9]+$|${REFERENCE_PATTERN}` });
  return z.union([z.int({ error }).min(from, { error }).max(to, { error }), written], { error });
};

const yesOrNo = () => {
  const error = 'must be true or false';
  const written = z
    .string()
    .refine(value => value === 'true' || value === 'false', { error })
    .meta({ pattern: `^(true|false)$|${REFERENCE_PATTERN}` });
  return z.union([z.boolean(), written], { error });
};

const variableName = () =>
  text().refine(isVariableName, { error: 'must be the name of an environment variable, not its value' });

/** What databases, repositories and plans may be called. */
export const nameSchema = z
  .string()
  .refine(
    name =>
      name.length > 0 && [...name].length <= MAX_NAME_LENGTH && !/[\u0000-\u001f\u007f-\u009f/]/.test(name),
    {
      error: `a name has 1 to ${MAX_NAME_LENGTH} characters, without "/" and control characters`,
    },
  )
  .meta({ pattern: `^[^/\\u0000-\\u001f\\u007f-\\u009f]{1,${MAX_NAME_LENGTH}}$` });

const kept = (what: string) => whole(0, MAX_KEPT).optional().describe(what);

const isCount = (text: string) => /^[0-9]{1,9}$/.test(text) && Number(text) <= MAX_KEPT;

/** Counted in periods, or for as long as a span. */
const tier = (period: string) => {
  const error = `must be a whole number from 0 to ${MAX_KEPT}, or a length of time such as 1y`;
  const written = z
    .string()
    .refine(value => isCount(value) || isSpan(value), { error })
    .meta({ pattern: `^[0-9]+$|^${SPAN_PATTERN}$|${REFERENCE_PATTERN}` });
  return z
    .union([z.int({ error }).min(0, { error }).max(MAX_KEPT, { error }), written], { error })
    .optional()
    .describe(
      `The newest of each ${period} that has snapshots: of the last so many (7), or for so long (1y).`,
    );
};

export const keepSchema = z
  .union([
    z
      .string()
      .refine(value => value === FOREVER || isSpan(value), {
        error: `${WRITTEN} is not a length of time${HINT}write a number and its unit, such as 24h, 30d, 4w, 3mo or 7y, or write forever`,
      })
      .meta({ pattern: `^${FOREVER}$|^${SPAN_PATTERN}$|${REFERENCE_PATTERN}` })
      .describe('Every snapshot stays this long: 30d, 3mo, 7y; or forever.'),
    z.strictObject({
      within: span().optional().describe('Every snapshot stays until it is this old: 30d, 3mo, 7y.'),
      last: kept('The newest so many stay.'),
      count: kept('The same as last.'),
      hourly: tier('hour'),
      daily: tier('day (UTC)'),
      weekly: tier('ISO week (Monday to Sunday)'),
      monthly: tier('month'),
      yearly: tier('year'),
      min: kept('At least so many stay, whatever their age.'),
    }),
  ])
  .describe('What stays; a snapshot goes when no rule wants it. Without keep, everything stays.');

export const databaseSchema = z
  .strictObject({
    url: text()
      .optional()
      .describe(
        'A connection URL: postgresql://user:password@host:5432/dbname, or a variable that holds one.',
      ),
    url_file: filePath().optional().describe('A file that contains nothing but the connection URL.'),
    host: text().optional().describe('Host name, address, or the folder of a Unix socket.'),
    port: whole(1, 65_535).optional().describe('Default: 5432.'),
    user: text().optional(),
    password: text().optional().describe('Better from a variable than in the file.'),
    password_file: filePath().optional().describe('A file that contains nothing but the password.'),
    dbname: text().optional(),
    sslmode: z.enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(),
    sslrootcert: filePath()
      .optional()
      .describe('Certificates of the authorities to trust: a PEM file, or system.'),
    sslcert: filePath().optional().describe('The client certificate, a PEM file.'),
    sslkey: filePath().optional().describe('The key of the client certificate, a PEM file.'),
    service: text().optional().describe('A section of pg_service.conf.'),
    objectives: z
      .strictObject({
        rpo: duration().optional().describe('How much work may be lost at most, as time: 24h.'),
        rto: duration().optional().describe('How long a recovery may take: 2h.'),
      })
      .optional()
      .describe('What is promised; plans that can not keep it are refused.'),
    safety: z
      .strictObject({
        keep: keepSchema.describe('What stays of them; the newest always does. Default: 7d.'),
      })
      .optional()
      .describe('Snapshots that are taken before a restore in place.'),
  })
  .describe('One database to protect: url, url_file, host or service says where it is.');

export const keySchema = z
  .strictObject({
    file: filePath().optional().describe('A key file; tidemark init makes it.'),
    env: variableName().optional().describe('The environment variable that holds the key.'),
    passphrase_env: variableName().optional().describe('The environment variable that holds a passphrase.'),
    passphrase_file: filePath().optional().describe('A file that contains nothing but a passphrase.'),
    age_identity_file: filePath().optional().describe('A file of age identities, as age-keygen writes it.'),
    age_identity_env: variableName()
      .optional()
      .describe('The environment variable that holds an age identity.'),
    kms: z
      .string()
      .refine(value => parseServiceKey(value) !== undefined, {
        error: `${WRITTEN} is not a key in a service${HINT}write ${SERVICE_KEY_FORMS}`,
      })
      .meta({ pattern: `^(aws:arn:|gcp:projects/|azure:https?://)|${REFERENCE_PATTERN}` })
      .optional()
      .describe(
        'A key in AWS KMS (aws:arn:aws:kms:…), Google Cloud KMS (gcp:projects/…) or Azure Key Vault (azure:https://…/keys/…).',
      ),
  })
  .describe('What encrypts the repository: one of these. Without it, nothing in there can be read by anyone.')
  .meta({ minProperties: 1, maxProperties: 1 });

export const repositorySchema = z
  .strictObject({
    storage: text().describe(
      'Where the snapshots lie: a folder (./backups, /var/backups/x), s3://bucket/folder, azure://account/container/folder, gs://bucket/folder or sftp://user@host/folder.',
    ),
    key: keySchema,
    region: text().optional().describe('The region of the bucket, as its provider calls it.'),
    offsite: yesOrNo()
      .optional()
      .describe(
        'Whether it lies where what destroys the database does not reach. Absent: told by the hosts.',
      ),
    residency: z
      .array(text())
      .min(1, { error: `must name at least one region or area${HINT}leave it out where any will do` })
      .optional()
      .describe('Where the bucket may lie: regions, or the areas eu, us, uk, ch, ca, ap. Refused elsewhere.'),
    class: text()
      .optional()
      .describe('The storage class of the data: STANDARD_IA, GLACIER_IR, DEEP_ARCHIVE, Cool, ARCHIVE …'),
    encryption: z
      .union([
        z.enum(['provider']),
        z.strictObject({ kms: text().describe("The provider's name of the key.") }),
      ])
      .optional()
      .describe("Encryption by the provider, besides tidemark's own: provider, or { kms: KEY }."),
    lock: z
      .strictObject({
        mode: z.enum(['governance', 'compliance']),
        for: duration().describe('What is kept stays locked for this long, renewed when half of it is over.'),
      })
      .optional()
      .describe('Object lock: nobody, compliance not even the owner, can remove what is kept.'),
    credentials: z
      .record(z.string(), text())
      .optional()
      .describe("Absent: the provider's standard chain. Better from variables than in the file."),
    connections: whole(1, 64).optional().describe('How many requests run at once.'),
    limit: size('a rate', '50MB/s', '/s').optional().describe('Bytes a second that may be used: 50MB/s.'),
    capacity: size('a size', '500GB or 2TiB').optional().describe('At 80 % of it there is a warning.'),
  })
  .describe('One encrypted store of snapshots.');

const schedule = () =>
  z
    .string()
    .superRefine((value, context) => {
      if (value === 'manual') return;
      try {
        parseCron(value);
      } catch (error) {
        const { message, hint } = error as { message: string; hint: string };
        context.addIssue({ code: 'custom', message: `${WRITTEN}: ${message}${HINT}${hint}` });
      }
    })
    .meta({ pattern: `^(manual|\\s*(\\S+\\s+){4}\\S+\\s*)$|${REFERENCE_PATTERN}` });

const storeSchema = z
  .strictObject({
    repository: text().describe('Which of the repositories.'),
    keep: keepSchema.describe("What stays in this repository, instead of the plan's keep."),
  })
  .describe('A repository: its name, or { repository, keep } where what stays differs there.');

export const planSchema = z
  .strictObject({
    database: text().describe('Which of the databases.'),
    capture: z
      .enum(['logical'])
      .optional()
      .describe('logical (the default): schema and rows, restorable anywhere.'),
    schedule: schedule().describe(
      'Five cron fields in UTC, in quotes: "0 2 * * *" is daily at 02:00. Or: manual.',
    ),
    store: z
      .array(z.union([text(), storeSchema]))
      .min(1, { error: 'must name at least one repository' })
      .describe('Which of the repositories: names, or { repository, keep } where what stays differs there.'),
    class: text().optional().describe("The storage class of this plan's data, instead of the repositories'."),
    keep: keepSchema.optional(),
    tables: z
      .strictObject({
        include: z
          .array(text())
          .min(1, { error: `must name at least one table${HINT}leave it out for all tables` })
          .optional()
          .describe('Only these tables: patterns such as public.orders or public.log_*.'),
        exclude: z.array(text()).optional().describe('All but these tables.'),
      })
      .optional(),
    schema_only: yesOrNo().optional().describe('Definitions without rows.'),
    data_only: yesOrNo().optional().describe('Rows without definitions.'),
    jobs: whole(1, MAX_JOBS).optional().describe('How many connections read at once.'),
    lock_wait: duration()
      .optional()
      .describe('How long to wait for tables that others keep locked: 10m unless said; 0s does not wait.'),
    compression: whole(1, MAX_COMPRESSION_LEVEL).optional().describe('zstd level; default: 3.'),
    role_passwords: yesOrNo()
      .optional()
      .describe("Whether roles keep their passwords; needs a superuser's rights."),
  })
  .describe('What is captured when, where it goes and how long it stays.');

/** The file as a whole. */
export const strategySchema = z
  .strictObject({
    databases: z.record(nameSchema, databaseSchema).describe('What is protected.'),
    repositories: z.record(nameSchema, repositorySchema).describe('Where copies are kept.'),
    plans: z.record(nameSchema, planSchema).optional().describe('When what is captured, and what stays.'),
  })
  .meta({ title: 'Tidemark strategy' });

export type DatabaseEntry = z.infer<typeof databaseSchema>;
export type RepositoryEntry = z.infer<typeof repositorySchema>;
export type PlanEntry = z.infer<typeof planSchema>;
export type KeepEntry = z.infer<typeof keepSchema>;
