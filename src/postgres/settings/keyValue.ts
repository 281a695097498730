/**
 * Reads and writes `host=db.example.com dbname=app password='it''s…'` with libpq's quoting.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 * ("Keyword/Value Connection Strings").
 */
import { type Keywords, requireKnownKeyword, settingsError } from './keywords.ts';

const QUOTE_HINT =
  "write keyword='value' with \\' for a quote and \\\\ for a backslash inside, one blank between pairs";

/** @throws CONNECTION_STRING; once a password was read, what follows is not named, as it may be a piece of it. */
export function parseKeyValue(text: string): Keywords {
  const keywords: Keywords = {};
  let rest = text.trimStart();
  while (rest !== '') {
    const [, keyword = '', equals] = /^([^=\s]*)\s*(=?)\s*/.exec(rest)!;
    const nameable = keywords.password === undefined;
    if (!equals || keyword === '') {
      throw settingsError(
        'the connection string is neither a postgresql:// URL nor keyword=value pairs',
        QUOTE_HINT,
      );
    }
    rest = rest.replace(/^[^=\s]*\s*=\s*/, '');
    const { value, length } = rest.startsWith("'") ? readQuoted(rest) : readBare(rest);
    if (nameable) requireKnownKeyword(keyword, 'the connection string');
    else requireKnownAfterPassword(keyword);
    keywords[keyword] = value;
    rest = rest.slice(length).trimStart();
  }
  return keywords;
}

function requireKnownAfterPassword(keyword: string): void {
  try {
    requireKnownKeyword(keyword, 'the connection string');
  } catch (error) {
    throw /^[a-z_]{4,}$/.test(keyword) && (error as Error).message.endsWith('not supported')
      ? error
      : settingsError('unknown connection parameter after the password in the connection string', QUOTE_HINT);
  }
}

function readQuoted(text: string): { value: string; length: number } {
  const match = /^'((?:[^'\\]|\\[\s\S])*)'/.exec(text);
  if (!match)
    throw settingsError('the connection string has a quoted value without its closing quote', QUOTE_HINT);
  return { value: withoutEscapes(match[1]!), length: match[0].length };
}

function readBare(text: string): { value: string; length: number } {
  const match = /^(?:[^\s\\]|\\[\s\S])*\\?/.exec(text)!;
  return { value: withoutEscapes(match[0]), length: match[0].length };
}

/** A backslash at the very end stands for nothing, as in libpq. */
function withoutEscapes(text: string): string {
  return text.replace(/\\([\s\S]?)/g, '$1');
}
