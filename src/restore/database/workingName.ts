import { randomBytes } from 'node:crypto';

/** PostgreSQL keeps 63 bytes of a name; what we add to the start of it is at most 27. */
const START_BYTES = 36;
const START_CHARACTERS = 12;
const OLD = '_old';

/** A name for what becomes the database `name`, which says what it is: `shop_tidemark_5f0c21aa`. */
export function workingName(name: string): string {
  return `${startOf(name)}_tidemark_${randomBytes(4).toString('hex')}`;
}

/** The name of what a database under a working name has replaced. */
export function replacedName(working: string): string {
  return working + OLD;
}

export function isReplacedName(name: string): boolean {
  return name.endsWith(OLD);
}

/** A regular expression of PostgreSQL's for the names above. */
export function leftoverPattern(name: string): string {
  const literal = startOf(name).replace(/[^A-Za-z0-9_\u0080-\u{10ffff}]/gu, character => `\\${character}`);
  return `^${literal}_tidemark_[0-9a-f]{8}(${OLD})?$`;
}

function startOf(name: string): string {
  let start = '';
  for (const character of [...name].slice(0, START_CHARACTERS)) {
    if (Buffer.byteLength(start + character) > START_BYTES) break;
    start += character;
  }
  return start;
}
