import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReadyCounter, WasmSession } from './wasmSession.ts';

function message(letter: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(letter), length, Buffer.from(body, 'latin1')]);
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

const START = message('', '\0\x03\0\0user\0postgres\0\0');

/** A server that is never late. */
function conversation(answers: Buffer[]) {
  const sent: string[] = [];
  const session = new WasmSession({
    send: bytes => sent.push(Buffer.from(bytes).toString('latin1')),
    receive: () => answers.shift()!,
  });
  const readAll = () => {
    let all = '';
    for (let part = session.read(3); part.length > 0; part = session.read(3)) {
      all += Buffer.from(part).toString('latin1');
    }
    return all;
  };
  return { session, sent, readAll };
}

test('ends of answers are counted however the bytes are cut', () => {
  const messages = fc.array(fc.tuple(fc.constantFrom('D', 'Z', 'T'), fc.string({ unit: 'binary-ascii' })));
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 9 }), (list, size) => {
      const counter = new ReadyCounter();
      const bytes = Buffer.concat(list.map(([letter, body]) => message(letter, body)));
      const found = cut(bytes, size).reduce((sum, piece) => sum + counter.count(piece), 0);
      assert.equal(found, list.filter(([letter]) => letter === 'Z').length);
    }),
  );
});

test('messages go out whole, and reading ends where no answer is due', () => {
  for (const size of [1, 2, 7, 1000]) {
    const start = Buffer.concat([message('R', '\0\0\0\0'), message('Z', 'I')]);
    const answer = Buffer.concat([message('D', 'row'), message('Z', 'T')]);
    const { session, sent, readAll } = conversation([...cut(start, size), ...cut(answer, size)]);
    for (const piece of cut(START, size)) session.write(piece);
    assert.equal(readAll(), start.toString('latin1'));
    const query = message('Q', 'SELECT 1\0');
    for (const piece of cut(query, size)) session.write(piece);
    assert.deepEqual(sent, [START.toString('latin1'), query.toString('latin1')]);
    assert.equal(readAll(), answer.toString('latin1'));
    session.write(message('X', ''));
    assert.equal(session.read(10).length, 0);
  }
});
