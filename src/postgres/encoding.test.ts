import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeText, encodeText } from './encoding.ts';

/** Every encoding that a server's database can have. */
const ENCODINGS = [
  ...['UTF8', 'SQL_ASCII', 'EUC_CN', 'EUC_JP', 'EUC_JIS_2004', 'EUC_KR', 'EUC_TW', 'MULE_INTERNAL'],
  ...['LATIN1', 'LATIN2', 'LATIN3', 'LATIN4', 'LATIN5', 'LATIN6', 'LATIN7', 'LATIN8', 'LATIN9', 'LATIN10'],
  ...['ISO_8859_5', 'ISO_8859_6', 'ISO_8859_7', 'ISO_8859_8', 'KOI8R', 'KOI8U', 'WIN866', 'WIN874'],
  ...['WIN1250', 'WIN1251', 'WIN1252', 'WIN1253', 'WIN1254', 'WIN1255', 'WIN1256', 'WIN1257', 'WIN1258'],
];

test('in every encoding, any bytes come back as they were', () => {
  for (const encoding of ENCODINGS) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), array => {
        const bytes = Buffer.from(array);
        assert.ok(encodeText(decodeText(bytes, encoding), encoding).equals(bytes), encoding);
      }),
    );
  }
});

test('names are read as the text they are', () => {
  const cases: [encoding: string, hex: string, text: string][] = [
    ['WIN1251', 'c6f3f0ede0eb', 'Журнал'],
    ['KOI8R', 'f6d5d2cec1cc', 'Журнал'],
    ['WIN866', '86e3e0ada0ab', 'Журнал'],
    ['EUC_JP', 'c7dbc1f7', '配送'],
    ['EUC_KR', 'c7d1b1db', '한글'],
    ['EUC_CN', 'd6d0cec4', '中文'],
    ['LATIN1', 'e9a4', 'é¤'],
    ['LATIN9', 'e9a4', 'é€'],
    ['LATIN2', 'b3f3', 'łó'],
    ['WIN1252', '80', '€'],
    ['SQL_ASCII', '61c3a9ff', 'aé\udcff'],
    ['EUC_TW', '61c4e3', 'a\udcc4\udce3'],
  ];
  for (const [encoding, hex, text] of cases) {
    assert.equal(decodeText(Buffer.from(hex, 'hex'), encoding), text);
    assert.equal(encodeText(text, encoding).toString('hex'), hex);
  }
});

test('a character that the encoding lacks is refused', () => {
  assert.throws(() => encodeText('表', 'WIN1251'), { code: 'TEXT_UNENCODABLE' });
});
