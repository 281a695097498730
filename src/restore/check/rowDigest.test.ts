import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RowDigest } from './rowDigest.ts';

const rows = fc.array(fc.string({ unit: 'binary-ascii' }).map(text => `${text.replaceAll('\n', ' ')}\n`));

function digestOf(lines: string[], pieceBytes: number): RowDigest {
  const digest = new RowDigest();
  const text = Buffer.from(lines.join(''));
  for (let at = 0; at < text.length; at += pieceBytes) digest.appendText(text.subarray(at, at + pieceBytes));
  return digest;
}

function received(lines: string[]): RowDigest {
  const digest = new RowDigest();
  for (const line of lines) {
    const middle = Math.floor(line.length / 2);
    digest.append(Buffer.from(line), 0, middle);
    digest.append(Buffer.from(line), middle, line.length);
    digest.endRow();
  }
  return digest;
}

test('rows in any order, in any pieces, from either side are the same rows', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 50 }), (lines, pieceBytes) => {
      assert.ok(digestOf(lines, pieceBytes).equals(received([...lines].reverse())));
      assert.equal(digestOf(lines, pieceBytes).rows, lines.length);
    }),
  );
});

test('a row that is missing, there twice, or other than it was makes a difference', () => {
  const lines = ['1\ta\n', '2\tb\n', '3\t\\N\n'];
  const whole = digestOf(lines, 4);
  for (const other of [
    lines.slice(1),
    [...lines, lines[0]!],
    [lines[0]!, lines[0]!, lines[2]!],
    ['1\tb\n', '2\ta\n', '3\t\\N\n'],
  ])
    assert.ok(!whole.equals(digestOf(other, 3)), other.join());
});
