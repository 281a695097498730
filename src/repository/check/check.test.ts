import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDirectory } from '../format/pack.ts';
import { packName } from '../format/packName.ts';
import { appendRows, Sample, tableRows } from '../testing/sample.ts';
import type { WrittenStream } from '../write/chunkWriter.ts';
import { checkPack, type PackJob } from './check.ts';
import { CheckPlan, type PlanFault, type PlanLimits } from './checkPlan.ts';

const signal = new AbortController().signal;
const DAY = '20261121-095747000-00000001';

interface Checked {
  plan: CheckPlan;
  faults: PlanFault[];
  jobs: number;
}

async function check(sample: Sample, streams: WrittenStream[], limits?: PlanLimits): Promise<Checked> {
  const faults: PlanFault[] = [];
  const plan = new CheckPlan(sample.storage, sample.keys, fault => faults.push(fault), limits);
  plan.addSnapshot({ snapshot: DAY, ...sample.table });
  for (const [i, stream] of streams.entries()) plan.addStream(stream.ref, DAY, `stream ${i}`);
  await plan.count(signal);
  let jobs = 0;
  for await (const job of plan.jobs(signal)) {
    jobs++;
    plan.apply(job, await checkPack(sample.storage, sample.keys, job));
  }
  return { plan, faults, jobs };
}

/** Four streams in two sessions, of which the later ones use what the earlier ones wrote. */
async function sampleStreams(): Promise<{ sample: Sample; streams: WrittenStream[] }> {
  const sample = new Sample();
  const [a, b] = [tableRows(120_000, 1), tableRows(10, 2)];
  const streams: WrittenStream[] = [];
  await sample.write(writer => {
    streams.push(appendRows(writer, a), appendRows(writer, b));
  });
  const previous = await sample.previous(streams[0]!);
  const changed = a.map((row, i) => (i % 7000 === 3 ? Buffer.from(`new ${row}`) : row));
  await sample.write(writer => {
    streams.push(appendRows(writer, changed, previous), appendRows(writer, [...a, ...b], previous));
  });
  return { sample, streams };
}

test('what is whole is found whole, in one round or in many', async () => {
  const { sample, streams } = await sampleStreams();
  const limits = [undefined, { placesHeld: 100, placesAJob: 7 }, { placesHeld: 1, placesAJob: 100_000 }];
  const jobs: number[] = [];
  for (const each of limits) {
    const checked = await check(sample, streams, each);
    assert.deepEqual(checked.faults, []);
    for (const [i, { bytes, rows, chunks }] of streams.entries()) {
      const found = checked.plan.streams[i]!;
      assert.deepEqual(
        [found.bytes, found.lineEnds, found.chunks, found.ended, found.whole],
        [bytes, rows, chunks, true, true],
      );
    }
    jobs.push(checked.jobs);
  }
  assert.equal(jobs[0], sample.table.packs.length);
  assert.ok(jobs[1]! > 50 && jobs[2] === jobs[0]);
});

test('a stream that does not end with a line end is told', async () => {
  const sample = new Sample();
  const { plan, faults } = await check(sample, [
    await sample.writeRows([Buffer.from('a\n'), Buffer.from('b')]),
  ]);
  assert.deepEqual(faults, []);
  const [stream] = plan.streams;
  assert.deepEqual([stream!.lineEnds, stream!.ended], [1, false]);
});

/** Changes a byte in the middle of a segment of a pack. */
function damage(sample: Sample, session: string, number: number, segment: number): () => void {
  const name = packName(session, number);
  const path = join(sample.storage.place, 'packs', name);
  const bytes = readFileSync(path);
  const key = sample.keys.current.pack(session, number, Buffer.from(sample.table.sessions[session]!, 'hex'));
  const place = openDirectory(key, bytes, bytes.length, name).at(segment)!;
  const changed = Buffer.from(bytes);
  changed[place.offset + (place.storedBytes >> 1)]! ^= 1;
  writeFileSync(path, changed);
  return () => writeFileSync(path, bytes);
}

test('a damaged segment hurts the streams that use it, in the session that wrote it and in others', async () => {
  const { sample, streams } = await sampleStreams();
  const [[session, number]] = sample.table.packs as [[string, number, number]];
  const mend = damage(sample, session, number, 0);
  for (const limits of [undefined, { placesHeld: 100, placesAJob: 7 }]) {
    const { faults, plan } = await check(sample, streams, limits);
    const hurt = new Set(faults.flatMap(fault => fault.streams));
    assert.deepEqual([...hurt].sort(), [0, 2, 3]);
    assert.ok(
      faults.every(fault => fault.error.code === 'SEAL_BROKEN' && fault.object?.startsWith('packs/')),
    );
    assert.deepEqual(
      plan.streams.map(stream => stream.whole),
      [false, true, false, false],
    );
  }
  mend();
  assert.deepEqual((await check(sample, streams)).faults, []);
});

test('a damaged segment that no stream uses is found too', async () => {
  const { sample, streams } = await sampleStreams();
  const [[session, number]] = sample.table.packs as [[string, number, number]];
  damage(sample, session, number, 0);
  const { faults } = await check(sample, [streams[1]!]);
  assert.equal(faults.length, 1);
  assert.deepEqual([faults[0]!.streams, faults[0]!.snapshots], [[], [DAY]]);
});

test('places that are wrong, though all is sealed: another id, length, segment, or list', async () => {
  const { sample, streams } = await sampleStreams();
  const plan = new CheckPlan(sample.storage, sample.keys, fault => assert.fail(fault.error.message));
  plan.addSnapshot({ snapshot: DAY, ...sample.table });
  plan.addStream(streams[0]!.ref, DAY, 'it');
  await plan.count(signal);
  const jobs: PackJob[] = [];
  for await (const job of plan.jobs(signal)) jobs.push(job);
  const job = jobs.find(each => each.places.ids.length > 0)!;
  const wrong: [code: string, change: (numbers: Int32Array, ids: Uint8Array, lists: Int32Array) => void][] = [
    ['CHUNK_WRONG', (_, ids) => ids.set([ids[0]! ^ 1], 0)],
    ['CHUNK_WRONG', numbers => numbers.set([numbers[2]! - 1], 2)],
    ['CHUNK_WRONG', numbers => numbers.set([numbers[1]! + 1], 1)],
    ['PLACE_WRONG', numbers => numbers.set([1 << 24], 1)],
    ['PLACE_WRONG', numbers => numbers.set([1 << 24], 2)],
    ['PLACE_WRONG', numbers => numbers.set([9999], 0)],
    ['PLACE_WRONG', (numbers, _, lists) => numbers.set([lists[0]!], 0)],
    ['PLACE_WRONG', (_, __, lists) => lists.set([0], 0)],
    ['PLACE_WRONG', (_, __, lists) => lists.set([9999], 0)],
  ];
  for (const [code, change] of wrong) {
    const numbers = job.places.numbers.slice();
    const ids = job.places.ids.slice();
    const lists = job.lists.slice();
    change(numbers, ids, lists);
    const found = await checkPack(sample.storage, sample.keys, { ...job, places: { numbers, ids }, lists });
    assert.deepEqual(
      found.faults.map(fault => [fault.code, fault.more, fault.owners]),
      [[code, 0, [0]]],
    );
  }
});
