/**
 * Text that compresses like text: words as frequent as in a language (Zipf's law), some of which mostly follow certain
 * others. Deterministic: the same seed gives the same text.
 */

const WORDS = 12_000;
/** Words that a word likes to be followed by, and how often one of them does follow. */
const FOLLOWERS = 6;
const FOLLOWS = 0.45;
const CONSONANTS = 'bcdfghklmnprstvw';
const VOWELS = 'aeiou';

export class Prose {
  readonly #words: string[];
  readonly #byRank: Uint16Array;
  readonly #followers: Uint16Array;
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
    this.#words = Array.from({ length: WORDS }, (_, rank) => this.#word(rank));
    this.#byRank = zipfTable(WORDS, 65536);
    this.#followers = Uint16Array.from({ length: WORDS * FOLLOWERS }, () => this.#byRank[this.below(65536)]!);
  }

  /** A whole number from 0 up to, not including, `limit` (xorshift32). */
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return Math.floor(((x >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** Words, in sentences, until there are about so many characters; `\n` in COPY's text format between paragraphs. */
  text(characters: number): string {
    let out = '';
    let word = this.#byRank[this.below(65536)]!;
    let sentence = 0;
    let capital = true;
    while (out.length < characters) {
      const plain = this.#words[word]!;
      out += capital ? plain[0]!.toUpperCase() + plain.slice(1) : plain;
      capital = ++sentence > 6 && this.below(9) === 0;
      if (capital) {
        out += this.below(6) === 0 ? '.\\n' : '. ';
        sentence = 0;
      } else out += this.below(12) === 0 ? ', ' : ' ';
      const follows = this.below(1000) < FOLLOWS * 1000;
      word = follows
        ? this.#followers[word * FOLLOWERS + this.below(FOLLOWERS)]!
        : this.#byRank[this.below(65536)]!;
    }
    return out.trimEnd();
  }

  /** A few words without a sentence around them. */
  phrase(words: number, separator = ' '): string {
    let out = '';
    for (let i = 0; i < words; i++)
      out += (i > 0 ? separator : '') + this.#words[this.#byRank[this.below(65536)]!]!;
    return out;
  }

  hex(digits: number): string {
    let out = '';
    while (out.length < digits) out += (0x10000000 + this.below(0xefffffff)).toString(16);
    return out.slice(0, digits);
  }

  #word(rank: number): string {
    let word = '';
    for (let left = 1 + Math.floor(Math.log2(rank + 2) / 5) + this.below(2); left > 0; left--) {
      word += this.pick([...CONSONANTS])! + this.pick([...VOWELS])!;
    }
    return word + (this.below(3) === 0 ? this.pick([...CONSONANTS]) : '');
  }
}

/** Ranks by chance: a uniform number picks rank r with a chance near 1 / (r + 1). */
function zipfTable(ranks: number, size: number): Uint16Array {
  let sum = 0;
  for (let rank = 0; rank < ranks; rank++) sum += 1 / (rank + 2.7);
  const table = new Uint16Array(size);
  let at = 0;
  let reached = 0;
  for (let rank = 0; rank < ranks; rank++) {
    reached += 1 / (rank + 2.7) / sum;
    while (at < Math.round(reached * size)) table[at++] = rank;
  }
  return table;
}
