/**
 * Two servers, or one server twice, may say the same definition in other words: a definition that was read back is what
 * the server makes of the statement, not the statement. Here statements become what can be compared.
 */

const TYPE_WORD = /^(?:[\w$\u0080-\uffff]+|"(?:[^"]|"")*"|\.|%)$/;

/** Whitespace, comments, strings, dollar-quoted bodies, names, numbers, `::`, operators, everything else by itself. */
const TOKEN =
  /(\s+)|(--[^\n]*)|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\3\$|[eE]?'(?:[^']|'')*'|"(?:[^"]|"")*"|[\w$\u0080-\uffff]+|::|[-+*/<>=~!@#%^&|`?]+|[\s\S]/gy;

export function tokensOf(sql: string): string[] {
  const tokens: string[] = [];
  for (const [token, space] of sql.matchAll(TOKEN)) if (space === undefined) tokens.push(plain(token));
  return tokens;
}

/** A string with escapes, as servers before 19 write one that holds a backslash, as a plain one. */
function plain(token: string): string {
  return /^[eE]'/.test(token) ? token.slice(1).replaceAll('\\\\', '\\') : token;
}

/**
 * The words of a statement, equal where a server says one thing in the two ways that are known: a cast of a whole array is
 * the cast of each of its elements, a moment is the same in any time zone, and an amount of money in any locale.
 */
export function canonicalWords(sql: string): string[] {
  const words = tokensOf(sql).map(inUtc);
  return castElements(words.map((word, at) => (isMoney(words, at) ? word.replace(/[^\d-]/g, '') : word)));
}

function isMoney(words: readonly string[], at: number): boolean {
  return words[at + 1] === '::' && words[at + 2] === 'money' && words[at]!.startsWith("'");
}

/** The words without parentheses and casts, which say how an expression was read more than what it does. */
export function bareWords(sql: string): string[] {
  const words = canonicalWords(sql);
  const bare: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === '::') at = typeEnd(words, at + 1) - 1;
    else if (word !== '(' && word !== ')') bare.push(word);
  }
  return bare;
}

/**
 * The bare words without what versions write or leave away: a column's table where the column is enough (left away since
 * PostgreSQL 16), AS before an alias, ONLY.
 */
export function unqualifiedWords(sql: string): string[] {
  const words = bareWords(sql);
  return words.filter((word, at) => !OPTIONAL.has(word) && words[at + 1] !== '.');
}

const OPTIONAL = new Set(['.', 'AS', 'ONLY']);

/** `(ARRAY[a, b])::text[]` as `ARRAY[(a)::text, (b)::text]`, which is what the server keeps once it has read it. */
function castElements(words: string[]): string[] {
  for (let at = 0; at + 2 < words.length; at++) {
    if (words[at] !== '(' || words[at + 1] !== 'ARRAY' || words[at + 2] !== '[') continue;
    const end = closing(words, at + 2);
    if (end < 0 || words[end + 1] !== ')' || words[end + 2] !== '::') continue;
    const type = typeEnd(words, end + 3);
    if (words[type - 2] !== '[' || words[type - 1] !== ']') continue;
    const element = words.slice(end + 3, type - 2);
    const cast = elements(words.slice(at + 3, end)).flatMap((each, i) => [
      ...(i > 0 ? [','] : []),
      ...['(', ...each, ')', '::', ...element],
    ]);
    words = [...words.slice(0, at), 'ARRAY', '[', ...cast, ']', ...words.slice(type)];
  }
  return words;
}

/** The place after a type's name that begins at `start`: `character varying(10)[]`, `"a b".c`. */
function typeEnd(words: readonly string[], start: number): number {
  let at = start;
  while (at < words.length && TYPE_WORD.test(words[at]!) && (at === start || continues(words, at))) at++;
  if (words[at] === '(' && /^\d+$/.test(words[at + 1] ?? '')) at = closing(words, at) + 1;
  while (at < words.length && continues(words, at) && TYPE_WORD.test(words[at]!)) at++;
  while (words[at] === '[' && words[at + 1] === ']') at += 2;
  return at;
}

/** Words of types that have several. */
const LATER_WORDS = new Set(['varying', 'precision', 'with', 'without', 'time', 'zone']);

function continues(words: readonly string[], at: number): boolean {
  if (words[at] === '.' || words[at - 1] === '.') return true;
  if (words[at] === 'with' || words[at] === 'without') return words[at + 1] === 'time';
  return LATER_WORDS.has(words[at]!);
}

/** The place of what closes the bracket at `start`; -1 where nothing does. */
function closing(words: readonly string[], start: number): number {
  let depth = 0;
  for (let at = start; at < words.length; at++) {
    if (words[at] === '(' || words[at] === '[') depth++;
    else if (words[at] === ')' || words[at] === ']') depth--;
    if (depth === 0) return at;
  }
  return -1;
}

/** Pieces between commas that are in no brackets. */
function elements(words: readonly string[]): string[][] {
  const found: string[][] = [[]];
  let depth = 0;
  for (const word of words) {
    if (word === '(' || word === '[') depth++;
    else if (word === ')' || word === ']') depth--;
    if (word === ',' && depth === 0) found.push([]);
    else found.at(-1)!.push(word);
  }
  return found;
}

const MOMENT =
  /(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+)?([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?(?![\d:])/g;

/** Moments inside a literal as the same moments in UTC. */
function inUtc(token: string): string {
  if (!token.startsWith("'")) return token;
  return token.replace(
    MOMENT,
    (all, year, month, day, hour, minute, second, fraction = '', sign, h, m, s) => {
      const local = Date.UTC(+year, +month - 1, +day, +hour, +minute, +second);
      const offset = (+h * 3600 + +(m ?? 0) * 60 + +(s ?? 0)) * (sign === '-' ? -1000 : 1000);
      return Number.isFinite(local)
        ? `${new Date(local - offset).toISOString().slice(0, 19)}${fraction}Z`
        : all;
    },
  );
}
