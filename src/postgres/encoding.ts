/**
 * Text in a database's encoding as Unicode and back, byte for byte.
 *
 * Names and statements of a database come as bytes in its encoding. Here they become Unicode, so that they can be
 * compared, matched and printed; encoded again they are the same bytes, whatever they were: a byte that the encoding
 * does not know (or that Unicode would give back differently) becomes a lone surrogate, U+DC00 plus the byte, which no
 * text holds (as Python's "surrogateescape" does, PEP 383).
 *
 * Encodings are called as PostgreSQL calls them. LATIN1 to LATIN10 and ISO_8859_n are one byte to one character.
 * SQL_ASCII says nothing about its bytes: what is UTF-8 in it is read so. EUC_TW and MULE_INTERNAL are known to nobody
 * here: of them only ASCII is read.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { TidemarkError } from '../base/errors.ts';

/** PostgreSQL's name → the label of https://encoding.spec.whatwg.org */
const LABELS: Record<string, string> = {
  ...{ LATIN2: 'iso-8859-2', LATIN3: 'iso-8859-3', LATIN4: 'iso-8859-4', LATIN5: 'windows-1254' },
  ...{ LATIN6: 'iso-8859-10', LATIN7: 'iso-8859-13', LATIN8: 'iso-8859-14', LATIN9: 'iso-8859-15' },
  ...{ LATIN10: 'iso-8859-16', ISO_8859_5: 'iso-8859-5', ISO_8859_6: 'iso-8859-6' },
  ...{ ISO_8859_7: 'iso-8859-7', ISO_8859_8: 'iso-8859-8', KOI8R: 'koi8-r', KOI8U: 'koi8-u' },
  ...{ WIN866: 'ibm866', WIN874: 'windows-874', WIN1250: 'windows-1250', WIN1251: 'windows-1251' },
  ...{ WIN1252: 'windows-1252', WIN1253: 'windows-1253', WIN1254: 'windows-1254' },
  ...{ WIN1255: 'windows-1255', WIN1256: 'windows-1256', WIN1257: 'windows-1257', WIN1258: 'windows-1258' },
  ...{ EUC_JP: 'euc-jp', EUC_JIS_2004: 'euc-jp', EUC_KR: 'euc-kr', EUC_CN: 'gbk' },
};

/** Encodings of more than one byte a character, by the first bytes of their longer characters and how many follow. */
const EXTENDED: Record<string, [first: number, bytes: number][]> = {
  EUC_JP: [
    [0x8e, 2],
    [0x8f, 3],
  ],
  EUC_JIS_2004: [
    [0x8e, 2],
    [0x8f, 3],
  ],
  EUC_KR: [],
  EUC_CN: [],
};

const ESCAPE = 0xdc00;

export function decodeText(bytes: Buffer, encoding: string): string {
  if (isAscii(bytes)) return bytes.toString('latin1');
  return encoding === 'UTF8' && isUtf8(bytes) ? bytes.toString('utf8') : codecOf(encoding).decode(bytes);
}

/** Throws TEXT_UNENCODABLE where the encoding lacks a character. */
export function encodeText(text: string, encoding: string): Buffer {
  if (encoding === 'UTF8' && text.isWellFormed()) return Buffer.from(text, 'utf8');
  return codecOf(encoding).encode(text);
}

type Decoder = InstanceType<typeof TextDecoder>;

interface Codec {
  decode(bytes: Buffer): string;
  encode(text: string): Buffer;
}

const codecs = new Map<string, Codec>();

function codecOf(encoding: string): Codec {
  let codec = codecs.get(encoding);
  if (!codec) {
    codec = encoding === 'UTF8' || encoding === 'SQL_ASCII' ? utf8Codec(encoding) : new TableCodec(encoding);
    codecs.set(encoding, codec);
  }
  return codec;
}

/** What is UTF-8, as such; every other byte escaped. */
function utf8Codec(encoding: string): Codec {
  return {
    decode(bytes) {
      let text = '';
      let from = 0;
      for (let at = 0; at < bytes.length; ) {
        const size = characterBytes(bytes, at);
        if (size === 0) {
          text += bytes.toString('utf8', from, at) + String.fromCharCode(ESCAPE + bytes[at]!);
          from = at + 1;
        }
        at += Math.max(size, 1);
      }
      return text + bytes.toString('utf8', from);
    },
    encode(text) {
      const encoded = (character: string) => Buffer.from(character, 'utf8');
      return text.isWellFormed() ? encoded(text) : encodeEach(text, encoding, encoded);
    },
  };
}

/** Bytes of the UTF-8 character that begins there, 0 where none does. */
function characterBytes(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  return at + size <= bytes.length && isUtf8(bytes.subarray(at, at + size)) ? size : 0;
}

/** By tables that are made from the platform's decoder: only what comes back as the same bytes is in them. */
class TableCodec implements Codec {
  readonly #encoding: string;
  /** Bytes of a character, as one number → the character. */
  readonly #characters = new Map<number, string>();
  readonly #bytes = new Map<string, Buffer>();
  readonly #sizes = new Uint8Array(256).fill(1);

  constructor(encoding: string) {
    this.#encoding = encoding;
    const label = LABELS[encoding];
    const longer = EXTENDED[encoding];
    if (encoding === 'LATIN1')
      for (let byte = 0x80; byte < 0x100; byte++) this.#add([byte], String.fromCharCode(byte));
    if (label === undefined) return;
    const decoder = new TextDecoder(label, { fatal: true });
    if (!longer) {
      const isIso = encoding.startsWith('LATIN') || encoding.startsWith('ISO');
      for (let byte = 0x80; byte < 0x100; byte++)
        this.#add([byte], isIso && byte < 0xa0 ? String.fromCharCode(byte) : decoded(decoder, [byte]));
      return;
    }
    for (let first = 0xa1; first < 0xff; first++) this.#sizes[first] = 2;
    for (const [first, size] of longer) this.#sizes[first] = size;
    for (let first = 0x80; first < 0xff; first++) this.#addBeginning(decoder, [first], this.#sizes[first]!);
  }

  #addBeginning(decoder: Decoder, bytes: number[], size: number): void {
    if (size === 1) return;
    for (let byte = 0xa1; byte < 0xff; byte++) {
      if (bytes.length + 1 < size) this.#addBeginning(decoder, [...bytes, byte], size);
      else this.#add([...bytes, byte], decoded(decoder, [...bytes, byte]));
    }
  }

  #add(bytes: number[], character: string | null): void {
    if (character === null || this.#bytes.has(character)) return;
    this.#characters.set(numberOf(bytes), character);
    this.#bytes.set(character, Buffer.from(bytes));
  }

  decode(bytes: Buffer): string {
    let text = '';
    for (let at = 0; at < bytes.length; ) {
      const size = this.#sizes[bytes[at]!]!;
      const character =
        bytes[at]! < 0x80 ? undefined : this.#characters.get(numberOf(bytes.subarray(at, at + size)));
      if (character !== undefined) text += character;
      else text += String.fromCharCode(bytes[at]! < 0x80 ? bytes[at]! : ESCAPE + bytes[at]!);
      at += character === undefined ? 1 : size;
    }
    return text;
  }

  encode(text: string): Buffer {
    return encodeEach(text, this.#encoding, character => this.#bytes.get(character));
  }
}

function encodeEach(
  text: string,
  encoding: string,
  encoded: (character: string) => Buffer | undefined,
): Buffer {
  const pieces: Buffer[] = [];
  let plain = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x80) plain += character;
    else {
      if (plain !== '') pieces.push(Buffer.from(plain, 'latin1'));
      plain = '';
      const isEscape = code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff;
      pieces.push(
        isEscape ? Buffer.of(code - ESCAPE) : (encoded(character) ?? unencodable(character, encoding)),
      );
    }
  }
  pieces.push(Buffer.from(plain, 'latin1'));
  return Buffer.concat(pieces);
}

function unencodable(character: string, encoding: string): never {
  throw new TidemarkError(
    'TEXT_UNENCODABLE',
    `"${character}" is no character of the encoding ${encoding}, which the snapshot's names are in`,
    'use a name of characters that the database has',
  );
}

function decoded(decoder: Decoder, bytes: number[]): string | null {
  try {
    const text = decoder.decode(Uint8Array.from(bytes));
    return [...text].length === 1 ? text : null;
  } catch {
    return null;
  }
}

function numberOf(bytes: ArrayLike<number>): number {
  let number = bytes.length;
  for (let at = 0; at < bytes.length; at++) number = number * 256 + bytes[at]!;
  return number;
}
