import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import type { Session } from '../src/postgres/session.ts';
import { Prose } from './prose.ts';

/** The data that is backed up: about 1 GB of COPY text at size 1, of every kind that a web application keeps. */

const DOCUMENTS = 230_000;
const ACCOUNTS = 1_400_000;
const EVENTS = 700_000;
const ATTACHMENTS = 1_500;
const ATTACHMENT_BYTES = 24_000;
const LARGE_OBJECTS = 30;
const LARGE_OBJECT_BYTES = 700_000;
const AUTHORS = 2_000;
const BRANCHES = 20;
const SEED = 20_240_611;
/** Rows are handed to the server in pieces of about this size. */
const PIECE_CHARACTERS = 1 << 18;

const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148',
  'okhttp/4.12.0',
];

/** Fills an empty database. */
export async function loadData(session: Session, size: number): Promise<void> {
  const prose = new Prose(SEED);
  const count = (of: number) => Math.max(1, Math.round(of * size));
  await session.run(readFileSync(new URL('schema.sql', import.meta.url), 'utf8'));
  const load = (table: string, rows: Iterable<string>) =>
    session.copyIn(`COPY ${table} FROM STDIN`, Readable.from(pieces(rows)));
  await load(
    'authors',
    times(AUTHORS, id => `${id}\t${prose.phrase(2)}\tauthor${id}@example.org\n`),
  );
  await load(
    'documents',
    times(count(DOCUMENTS), id => documentRow(prose, id)),
  );
  await load(
    'branches',
    times(BRANCHES, bid => `${bid}\t0\t\n`),
  );
  await load(
    'accounts',
    times(count(ACCOUNTS), aid => `${aid}\t${aid % BRANCHES}\t${prose.below(99_999)}\t\n`),
  );
  await load(
    'events',
    times(count(EVENTS), id => eventRow(prose, id, count(DOCUMENTS))),
  );
  await load(
    'attachments',
    times(count(ATTACHMENTS), () => attachmentRow(prose, count(DOCUMENTS))),
  );
  for (let i = 0; i < count(LARGE_OBJECTS); i++) {
    const bytes = contentHex(prose, LARGE_OBJECT_BYTES);
    await session.query("SELECT lo_from_bytea(0, decode($1, 'hex'))", [bytes]);
  }
  await session.run(readFileSync(new URL('indexes.sql', import.meta.url), 'utf8'));
  await session.run('VACUUM ANALYZE');
}

function documentRow(prose: Prose, id: number): string {
  const title = prose.phrase(3 + prose.below(5));
  const day = 1 + (id % 28);
  const created = `2024-0${1 + (id % 9)}-${day < 10 ? '0' : ''}${day} 0${id % 10}:1${id % 10}:00+00`;
  const body = prose.text(300 + prose.below(2300));
  const columns = [
    id,
    prose.below(AUTHORS),
    `${title.replaceAll(' ', '-')}-${id}`,
    title,
    prose.pick(['draft', 'published', 'published', 'archived']),
    1 + prose.below(9),
    created,
    created,
    body,
    documentJson(prose, id),
  ];
  return columns.join('\t') + '\n';
}

function documentJson(prose: Prose, id: number): string {
  const history = Array.from({ length: 1 + prose.below(5) }, () => ({
    by: prose.below(AUTHORS),
    at: `2024-05-${10 + prose.below(18)}T${10 + prose.below(13)}:${10 + prose.below(49)}:00Z`,
    action: prose.pick(['created', 'edited', 'reviewed', 'published']),
    digest: prose.hex(32),
  }));
  const sections = Array.from({ length: 1 + prose.below(4) }, (_, n) => ({
    heading: prose.phrase(4),
    level: 1 + (n % 3),
    summary: prose.phrase(15 + prose.below(35)),
  }));
  const value = {
    id,
    kind: prose.pick(['article', 'note', 'page']),
    language: prose.pick(['en', 'en', 'de', 'fr']),
    tags: Array.from({ length: 2 + prose.below(5) }, () => prose.phrase(1)),
    metrics: { views: prose.below(100_000), likes: prose.below(900), score: prose.below(10_000) / 100 },
    public: prose.below(2) === 0,
    sections,
    history,
  };
  return JSON.stringify(value);
}

function eventRow(prose: Prose, id: number, documents: number): string {
  const second = String(id % 60).padStart(2, '0');
  const minute = String(Math.floor(id / 60) % 60).padStart(2, '0');
  const columns = [
    id,
    prose.below(documents),
    `2024-06-${10 + (Math.floor(id / 3600) % 20)} 12:${minute}:${second}.${100000 + prose.below(899999)}+00`,
    prose.pick(['view', 'view', 'view', 'like', 'share', 'comment']),
    `10.${prose.below(256)}.${prose.below(256)}.${prose.below(256)}`,
    prose.pick(AGENTS),
    `{"ms": ${prose.below(900)}, "session": "${prose.hex(24)}", "path": "/${prose.phrase(2, '/')}"}`,
  ];
  return columns.join('\t') + '\n';
}

function attachmentRow(prose: Prose, documents: number): string {
  const hex = prose.hex(32);
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    '-',
  );
  const bytes = ATTACHMENT_BYTES / 2 + prose.below(ATTACHMENT_BYTES);
  return `${id}\t${prose.below(documents)}\t${prose.phrase(2, '_')}.bin\t\\\\x${contentHex(prose, bytes)}\n`;
}

/** Half as an image is, which nothing can compress; half as text. */
function contentHex(prose: Prose, bytes: number): string {
  if (prose.below(2) === 0) return prose.hex(bytes * 2);
  return Buffer.from(prose.text(bytes), 'latin1').toString('hex');
}

function* times(count: number, row: (i: number) => string): Generator<string> {
  for (let i = 0; i < count; i++) yield row(i);
}

function* pieces(rows: Iterable<string>): Generator<Buffer> {
  let piece = '';
  for (const row of rows) {
    piece += row;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield Buffer.from(piece, 'latin1');
    piece = '';
  }
  if (piece !== '') yield Buffer.from(piece, 'latin1');
}
