import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { ReadingSocket } from './readingSocket.ts';

const sent = randomBytes(5_000_000);
const server = createServer(socket => {
  socket.on('error', () => {});
  socket.end(sent);
});
after(() => server.close());
server.listen(0, '127.0.0.1');
await once(server, 'listening');

async function connected(): Promise<ReadingSocket> {
  const socket = new ReadingSocket();
  socket.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  return socket;
}

test('listeners get buffers that they may keep', async () => {
  const socket = await connected();
  const pieces: Buffer[] = [];
  socket.on('data', piece => pieces.push(piece));
  await once(socket, 'end');
  assert.ok(Buffer.concat(pieces).equals(sent));
});

test('a reader gets the same bytes, and a pause stops them', async () => {
  const socket = await connected();
  const pieces: Buffer[] = [];
  let paused = false;
  socket.reader = bytes => {
    assert.equal(paused, false);
    pieces.push(Buffer.from(bytes));
    if (pieces.length % 5 !== 0) return;
    paused = true;
    socket.pause();
    setTimeout(() => {
      paused = false;
      socket.resume();
    }, 5);
  };
  socket.resume();
  await once(socket, 'end');
  assert.ok(Buffer.concat(pieces).equals(sent));
});
