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
const SSL_REQUEST = message('', '\x04\xd2\x16\x2f');

/** A server that answers every query with one row and is never late. */
function conversation(answers: Buffer[]) {
  const sent: string[] = [];
  const link = {
    send: (bytes: Uint8Array) => sent.push(Buffer.from(bytes).toString('latin1')),
    receive: () => answers.shift() ?? null,
  };
  const session = new WasmSession(link, { server_version: '18.4' }, () => {
    throw new Error('data');
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

test('the start is answered here, queries by the server, data by nobody', () => {
  for (const size of [1, 2, 7, 1000]) {
    const answer = Buffer.concat([message('D', 'row'), message('Z', 'T')]);
    const { session, sent, readAll } = conversation(cut(answer, size));
    session.write(SSL_REQUEST);
    assert.equal(readAll(), 'N');
    for (const piece of cut(START, size)) session.write(piece);
    assert.match(readAll(), /^R\0.*S.*server_version\x0018\.4\0Z\0\0\0\x05I$/s);
    const query = message('Q', 'SELECT 1\0');
    for (const piece of cut(query, size)) session.write(piece);
    assert.deepEqual(sent, [query.toString('latin1')]);
    assert.equal(readAll(), answer.toString('latin1'));
    assert.equal(session.read(10).length, 0);
    for (const data of [
      message('Q', 'COPY public.t (n) TO stdout;\0'),
      message('Q', 'DECLARE _pg_dump_cursor CURSOR FOR SELECT * FROM ONLY public.t\0'),
      message('F', 'lo_open'),
    ]) {
      assert.throws(() => session.write(data), /data/);
    }
    session.write(message('X', ''));
    assert.equal(sent.length, 1);
  }
});

test('a server that has closed is an end, not a wait', () => {
  const { session, readAll } = conversation([]);
  session.write(START);
  readAll();
  session.write(message('Q', 'SELECT 1\0'));
  assert.equal(session.read(10).length, 0);
});
