/**
 * Writes vectors.json: what docs/format.md says, computed from that page with node:crypto alone and none of the program's
 * own code, so that the two can be held against each other. Run it by hand: node src/repository/testing/vectors.make.ts
 */
import { createCipheriv, createHash, createHmac, hkdfSync, scryptSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const range = (n: number, from = 0) => Buffer.from(Array.from({ length: n }, (_, i) => (from + i) & 255));
const sha256 = (...pieces: Uint8Array[]) => createHash('sha256').update(Buffer.concat(pieces)).digest();
const u32 = (n: number) => Buffer.of(n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24);

function hkdf(secret: Uint8Array, salt: Uint8Array, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, length));
}

function gcm(key: Uint8Array, nonce: Uint8Array, label: Uint8Array, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(label);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Bytes that don't compress, the same everywhere: SHA-256 of 0, 1, 2, … as four bytes. */
function noise(length: number, from = 0): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) blocks.push(sha256(u32(from + i)));
  return Buffer.concat(blocks).subarray(0, length);
}

const master = range(32);
const repository = hex(range(16, 0xa0));
const session = '20261121-095747000-3f9c2a7b';
const salt = range(16, 0x50);
const repo = Buffer.from(repository, 'hex');
const packKey = (number: number) =>
  hkdf(master, salt, `tidemark/1 pack ${session}/${String(number).padStart(8, '0')}`, 32);
const idKey = hkdf(master, repo, 'tidemark/1 chunk id', 32);
const cutter = hkdf(master, repo, 'tidemark/1 cutter', 1024);
const G = Array.from({ length: 256 }, (_, i) => BigInt(cutter.readInt32LE(i * 4)));
const MOD = 1n << 32n;
/** Of epoch 2, and of the two before it. */
const masters = [master, range(32, 0x20), range(32, 0x40)];
const macKey = (epoch: number) => hkdf(masters[epoch]!, repo, 'tidemark/1 mac', 32);
const modulo = (n: bigint) => ((n % MOD) + MOD) % MOD;

// Key text: base32 of RFC 4648, written bit by bit.
function keyText(key: Buffer): string {
  const bits = [...key].map(byte => byte.toString(2).padStart(8, '0')).join('') + '0000';
  const letters = bits
    .match(/.{5}/g)!
    .map(five => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five, 2)]);
  return `tidemark-key-1:${letters.join('')}:${hex(sha256(key)).slice(0, 8)}`;
}

function slots() {
  const nonce = range(12, 0x30);
  const secret = range(32, 0x80);
  const passphrase = 'correct horse ﬁle Ⅻ'; // NFKC: "correct horse file XII"
  const scryptSalt = range(16, 0x10);
  const derived = scryptSync('correct horse file XII', scryptSalt, 32, {
    N: 131072,
    r: 8,
    p: 1,
    maxmem: 1 << 28,
  });
  const slot = (name: string, kind: string, key: Buffer, own: object = {}, epoch = 0, more: object = {}) => ({
    tidemark: 'key',
    format: 1,
    slot: name,
    kind,
    ...(epoch > 0 ? { epoch } : {}),
    ...own,
    nonce: nonce.toString('base64'),
    wrapped: gcm(
      key,
      nonce,
      Buffer.from(`tidemark/1 key ${repository} ${name}${epoch > 0 ? ` ${epoch}` : ''}`),
      masters[epoch]!,
    ).toString('base64'),
    ...more,
  });
  const byText = hkdf(secret, repo, 'tidemark/1 slot', 32);
  return [
    {
      secret: keyText(secret),
      slot: slot('first', 'key', byText),
    },
    {
      secret: passphrase,
      slot: slot('second', 'passphrase', derived, {
        kdf: { name: 'scrypt', N: 131072, r: 8, p: 1, salt: scryptSalt.toString('base64') },
      }),
    },
    // The text that a service gives back opens its slot as a key does. What is sealed here is none of a real service.
    {
      secret: keyText(secret),
      slot: withMac(0, slot('cloud', 'aws-kms', byText, { key: 'arn:aws:kms:x', sealed: 'AAAA' })),
    },
    {
      secret: keyText(secret),
      slot: withMac(2, slot('first-3', 'key', byText, {}, 2, { older: older(2), replaces: 'first-2' })),
    },
  ];
}

/** "Slots", mac. */
function withMac(epoch: number, value: object) {
  const mac = createHmac('sha256', macKey(epoch)).update(JSON.stringify(value)).digest('base64');
  return { ...value, mac };
}

/** "Epochs". */
function older(epoch: number): string {
  const nonce = range(12, 0x90);
  const key = hkdf(masters[epoch]!, repo, 'tidemark/1 older', 32);
  const label = Buffer.from(`tidemark/1 older ${repository} ${epoch}`);
  return Buffer.concat([nonce, gcm(key, nonce, label, Buffer.concat(masters.slice(0, epoch)))]).toString(
    'base64',
  );
}

function epoch() {
  const started = '2026-11-21T09:57:47.000Z';
  return withMac(2, { tidemark: 'epoch', format: 1, epoch: 2, started, older: older(2) });
}

// "Cutting", rows.
function rowEnds(row: Buffer): boolean {
  const n = row.length;
  if (n >= 8192) return true;
  const middle = Math.floor(n / 2) - 8;
  const sample =
    n <= 64
      ? row
      : Buffer.concat([row.subarray(0, 24), row.subarray(middle, middle + 16), row.subarray(n - 24)]);
  let h = BigInt(n);
  for (const byte of sample) h = modulo((h + G[byte]!) * 0x9e3779b1n);
  h ^= h >> 15n;
  return h < (BigInt(n) * MOD) / 8192n;
}

function rowChunks(rows: Buffer[]): number[] {
  const chunks: number[] = [];
  let size = 0;
  for (let row of rows) {
    while (size + row.length > 262144) {
      const room = 262144 - size;
      chunks.push(262144);
      row = row.subarray(room); // what is left counts as the row
      size = 0;
    }
    size += row.length;
    if (size >= 65536 || (size >= 4096 && rowEnds(row))) {
      chunks.push(size);
      size = 0;
    }
  }
  if (size > 0) chunks.push(size);
  return chunks;
}

// "Cutting", other streams.
function streamChunks(stream: Buffer): number[] {
  const chunks: number[] = [];
  for (let rest = stream; rest.length > 0; rest = rest.subarray(chunks.at(-1))) {
    let end = Math.min(rest.length, 65536);
    let h = 0n;
    for (let i = 4096 - 64; i < end; i++) {
      h = modulo((h << 1n) + G[rest[i]!]!);
      if (i >= 4096 && h < 1n << 19n) end = i + 1;
    }
    chunks.push(end);
  }
  return chunks;
}

const rowTexts: [text: string, times: number][] = [
  ['', 1],
  ['1', 1],
  ['42\tAda\t1815-12-10', 1],
  ['7\tGrace\t1906-12-09', 1],
  ['x', 63],
  ['x', 64],
  ['0123456789', 10],
  ['\\N\t', 33],
  ['abcdefg', 100],
  ['q', 2047],
  ['r', 2048],
  ['s', 4094],
  ['t', 4095],
];
/** Rows of all lengths up to 300, now and then a long one, one longer than any chunk. */
const rows = Array.from({ length: 3000 }, (_, i) => {
  const body = hex(noise(((i * 7919) % 300) >> 1, i * 100));
  return Buffer.from(
    i === 1500 ? `${'w'.repeat(600_000)}\n` : i % 400 === 399 ? `${body.repeat(40)}\n` : `${body}\n`,
  );
});

const segmentOf = (key: Buffer, index: number, kind: number, content: Buffer, compressed?: Buffer) => {
  const nonce = Buffer.concat([Buffer.alloc(8), Buffer.of(index >>> 24, index >>> 16, index >>> 8, index)]);
  const label = Buffer.concat([Buffer.from('TMS1'), Buffer.of(kind), u32(content.length)]);
  return gcm(key, nonce, label, Buffer.concat([Buffer.of(compressed ? 1 : 0), compressed ?? content]));
};

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function chunkList() {
  const other = '20261120-000000000-00000001';
  const id = (n: number) => hex(sha256(u32(n))).slice(0, 32);
  // Two that lie one behind the other, one elsewhere in the segment, one in another pack and one in another session.
  const chunks = [
    { session, pack: 2, segment: 0, offset: 0, length: 2100, id: id(1) },
    { session, pack: 2, segment: 0, offset: 2100, length: 70000, id: id(2) },
    { session, pack: 2, segment: 0, offset: 80000, length: 1, id: id(3) },
    { session: other, pack: 300, segment: 129, offset: 5, length: 262144, id: id(4) },
    { session, pack: 7, segment: 0, offset: 262149, length: 128, id: id(1) },
  ];
  const named = (name: string, number: number) => [
    ...varint(name.length),
    ...Buffer.from(name),
    ...varint(number),
  ];
  const encoded = Buffer.concat([
    Buffer.from([1, 3, ...named(session, 2), ...named(other, 300), ...named(session, 7)]),
    Buffer.from([4, 0, 0, 0, 2, 0, 0, ...varint(80000), 1, 1, ...varint(129), 5, 1]),
    Buffer.from([2, 0, ...varint(262149), 1]),
    Buffer.from(chunks.flatMap(chunk => varint(chunk.length))),
    ...chunks.map(chunk => Buffer.from(chunk.id, 'hex')),
  ]);
  return { chunks, encoded: hex(encoded) };
}

function pack() {
  const number = 9;
  const key = packKey(number);
  const data = noise(80, 500);
  const list = noise(40, 600);
  const segments = [segmentOf(key, 0, 0, data), segmentOf(key, 1, 1, list)];
  const content = Buffer.from([
    2,
    ...varint(segments[0]!.length),
    ...varint(80),
    0,
    ...varint(segments[1]!.length),
    ...varint(40),
    1,
  ]);
  const directory = segmentOf(key, 0xffffffff, 2, content);
  const bytes = Buffer.concat([
    Buffer.from('TIDEPACK'),
    u32(1),
    u32(number),
    salt,
    ...segments,
    directory,
    u32(directory.length),
    u32(content.length),
    Buffer.from('TIDEEND1'),
  ]);
  return { number, data: hex(data), list: hex(list), bytes: hex(bytes) };
}

function object(epoch: number) {
  const name = `snapshots/${session}`;
  const value = { format: 1, snapshot: session, note: 'ä' };
  const nonce = range(12, 0x70);
  const head = Buffer.concat(
    epoch === 0 ? [Buffer.from('TIDEOBJ1'), nonce] : [Buffer.from('TIDEOBJ2'), u32(epoch), nonce],
  );
  const key = hkdf(masters[epoch]!, repo, `tidemark/1 object ${name}`, 32);
  const sealed = Buffer.concat([
    head,
    gcm(key, nonce, head, zstdCompressSync(Buffer.from(JSON.stringify(value)))),
  ]);
  return { name, value, sealed: hex(sealed) };
}

const text = Buffer.from('the same words again and again, '.repeat(40));
const streamBytes = 300_000;
const vectors = {
  master: hex(master),
  repository,
  session,
  salt: hex(salt),
  keys: {
    chunkId: hex(idKey),
    cutter: Array.from({ length: 8 }, (_, i) => cutter.readInt32LE(i * 4)),
    cutterSha256: hex(sha256(cutter)),
    pack9: hex(packKey(9)),
    object: hex(hkdf(master, repo, `tidemark/1 object snapshots/${session}`, 32)),
  },
  keyText: { key: hex(range(32, 0x80)), text: keyText(range(32, 0x80)) },
  slots: slots(),
  rowEnds: rowTexts.map(([text, times]) => ({
    text,
    times,
    ends: rowEnds(Buffer.from(`${text.repeat(times)}\n`)),
  })),
  rowsSha256: hex(sha256(...rows)),
  rowChunks: rowChunks(rows),
  streamBytes,
  streamChunks: streamChunks(noise(streamBytes)),
  chunkId: {
    chunk: hex(Buffer.from('1\tone\n')),
    id: hex(sha256(Buffer.from('1\tone\n'), idKey)).slice(0, 32),
  },
  segment: {
    pack: 9,
    index: 3,
    kind: 0,
    content: hex(noise(50, 700)),
    sealed: hex(segmentOf(packKey(9), 3, 0, noise(50, 700))),
  },
  compressedSegment: {
    pack: 9,
    index: 70000,
    kind: 0,
    content: hex(text),
    sealed: hex(segmentOf(packKey(9), 70000, 0, text, zstdCompressSync(text))),
  },
  chunkList: chunkList(),
  pack: pack(),
  object: object(0),
  masters: masters.map(hex),
  epoch: epoch(),
  epochObject: object(2),
};
writeFileSync(new URL('vectors.json', import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`);
