/**
 * Names of tables as psql's \d and pg_dump's --table take them.
 *
 * - `a.b` is table b in schema a; `b` alone is any table b, in whichever schema (psql would go by the search path).
 * - Unquoted, A-Z are folded to lower case; `*` is any run of characters, `?` any one, and regular expression notation
 *   works: `[0-9]+`, `(a|b)`, `[[:alpha:]]`. `$` is only a dollar sign; `[]` only two brackets.
 * - In double quotes every character stands for itself, `""` for one double quote.
 * - A pattern matches the whole name.
 *
 * Source: processSQLNamePattern and patternToSQLRegex in PostgreSQL's src/fe_utils/string_utils.c.
 */
import { usageError } from '../../base/errors.ts';
import { encodeText } from '../encoding.ts';

export type NamePredicate = (schema: string, name: string) => boolean;

const POSIX_CLASSES: Record<string, string> = {
  alpha: '\\p{L}',
  digit: '\\p{Nd}',
  alnum: '\\p{L}\\p{Nd}',
  upper: '\\p{Lu}',
  lower: '\\p{Ll}',
  space: '\\s',
  blank: ' \\t',
  punct: '\\p{P}\\p{S}',
  word: '\\p{L}\\p{Nd}_',
};

const SPECIAL = /[|*+?()[\]{}.^$\\/]/;

/** One pattern as a predicate; a usage error (exit 2) where it can't be read. */
export function tablePattern(pattern: string): NamePredicate {
  const parts = partsOf(pattern);
  if (parts.length > 2) {
    throw usageError(
      'PATTERN_INVALID',
      `pattern ${pattern} has more than two parts`,
      'write schema.table; put a name that contains a dot in double quotes',
    );
  }
  const expressions = parts.map(part => expressionOf(part, pattern));
  const [first, second] = expressions;
  if (!second) return (_schema, name) => first!.test(name);
  return (schema, name) => first!.test(schema) && second.test(name);
}

/** Several patterns: what any of them matches. */
export function anyPattern(patterns: readonly string[]): NamePredicate {
  const predicates = patterns.map(tablePattern);
  return (schema, name) => predicates.some(predicate => predicate(schema, name));
}

/**
 * The same pattern in ASCII, for a pg_dump that compares it with names in this encoding: its arguments are UTF-8, which
 * is what it takes them for in no other. A character is written as its number in the server's regular expressions: that
 * of its bytes, so each byte of SQL_ASCII is one.
 */
export function patternIn(pattern: string, encoding: string): string {
  if (encoding === 'UTF8') return pattern;
  let quoted = false;
  // Whether double quotes are open in what is written.
  let open = false;
  let written = '';
  const characters = [...pattern];
  for (let at = 0; at < characters.length; at++) {
    let character = characters[at]!;
    const isDoubled = character === '"' && quoted && characters[at + 1] === '"';
    if (isDoubled) {
      character = '""';
      at++;
    }
    if (character === '"') quoted = !quoted;
    else if (character > '\x7f') {
      if (open) written += '"';
      open = false;
      written += numbered(character, encoding);
    } else {
      if (quoted !== open) written += '"';
      open = quoted;
      written += character;
    }
  }
  return open ? `${written}"` : written;
}

function numbered(character: string, encoding: string): string {
  const bytes = encodeText(character, encoding);
  if (encoding === 'SQL_ASCII') return [...bytes].map(byte => `\\u00${byte.toString(16)}`).join('');
  const number = bytes.toString('hex');
  // pg_dump folds an unquoted U to u, so a longer number is one of any length, which ends at the bracket.
  return number.length > 4 ? `(\\x${number})` : `\\u${number.padStart(4, '0')}`;
}

/** The dot-separated parts as the sources of regular expressions. */
function partsOf(pattern: string): string[] {
  const parts = [''];
  let quoted = false;
  const add = (text: string) => {
    parts[parts.length - 1] += text;
  };
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    if (character === '"') {
      if (quoted && pattern[at + 1] === '"') {
        add('"');
        at++;
      } else quoted = !quoted;
    } else if (quoted) add(SPECIAL.test(character) ? `\\${character}` : character);
    else if (character === '.') parts.push('');
    else if (character === '*') add('.*');
    else if (character === '?') add('.');
    else if (character === '$' || character === '/') add(`\\${character}`);
    else if (pattern.startsWith('[]', at)) {
      add('\\[\\]');
      at++;
    } else if (character === '[') {
      const end = bracketEnd(pattern, at);
      add(bracketSource(pattern.slice(at, end)));
      at = end - 1;
    } else add(character.replace(/[A-Z]/, letter => letter.toLowerCase()));
  }
  if (quoted) {
    throw usageError(
      'PATTERN_INVALID',
      `pattern ${pattern} has no closing double quote`,
      'close the quote, or double it to mean the character',
    );
  }
  return parts;
}

/** The place after the `]` that ends a bracket expression, whose `[:class:]` parts hold brackets of their own. */
function bracketEnd(pattern: string, start: number): number {
  const bracket = /\[\^?\]?(?:\[:\w+:\]|[^\]])*\]/y;
  bracket.lastIndex = start;
  return bracket.test(pattern) ? bracket.lastIndex : start + 1;
}

function bracketSource(bracket: string): string {
  if (bracket.length < 2) return bracket;
  const negated = bracket[1] === '^' ? '^' : '';
  const inside = bracket.slice(1 + negated.length, -1);
  const source = inside
    .replace(/[A-Z]/g, letter => letter.toLowerCase())
    .replace(/\[:(\w+):\]|[\][]/g, (match, name) => (name ? (POSIX_CLASSES[name] ?? match) : `\\${match}`));
  return `[${negated}${source}]`;
}

function expressionOf(source: string, pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${source})$`, 'su');
  } catch (cause) {
    throw usageError(
      'PATTERN_INVALID',
      `pattern ${pattern} is no regular expression`,
      'put the name in double quotes to take every character as it stands',
      cause,
    );
  }
}
