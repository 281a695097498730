import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Repository } from '../../src/repository/repository.ts';
import type { World } from './world.ts';

const WRITTEN_AT_ONCE = 1 << 20;

/** Moments at which packs of the world were checked: a hundredth of them each night. */
const CHECKS = 100;
const CHECKS_NAME = 'checks/20261121-000000000-00000000';
const DAY_MS = 24 * 3_600_000;

/** The manifests of a world, sealed as a repository has them, one after another in a file: none is held in memory. */
export class SealedManifests {
  readonly #file: number;
  /** Where each begins, and where the last ends. */
  readonly #starts: Float64Array;

  constructor(path: string) {
    const index = readFileSync(`${path}.index`);
    this.#starts = new Float64Array(index.buffer, index.byteOffset, index.byteLength / 8).slice();
    this.#file = openSync(path, 'r');
  }

  /** Makes the file where it is not there yet. */
  static make(path: string, world: World, repository: Repository): void {
    if (existsSync(`${path}.index`)) return;
    makeChecks(path, world, repository);
    mkdirSync(dirname(path), { recursive: true });
    const starts = new Float64Array(world.size.snapshots + 1);
    const file = openSync(path, 'w');
    let pending: Buffer[] = [];
    let bytes = 0;
    const flush = () => {
      if (pending.length > 0) writeSync(file, Buffer.concat(pending));
      [pending, bytes] = [[], 0];
    };
    for (let i = 0; i < world.size.snapshots; i++) {
      const sealed = repository.keys.seal(`snapshots/${world.session(i)}`, world.manifest(i));
      starts[i + 1] = starts[i]! + sealed.length;
      pending.push(sealed);
      bytes += sealed.length;
      if (bytes > WRITTEN_AT_ONCE) flush();
    }
    flush();
    closeSync(file);
    writeFileSync(`${path}.index`, new Uint8Array(starts.buffer));
  }

  sizeBytes(i: number): number {
    return this.#starts[i + 1]! - this.#starts[i]!;
  }

  get(i: number): Buffer {
    const sealed = Buffer.allocUnsafe(this.sizeBytes(i));
    readSync(this.#file, sealed, 0, sealed.length, this.#starts[i]!);
    return sealed;
  }
}

/** What says of every pack of the world, but not of the real ones, that it was checked. */
function makeChecks(path: string, world: World, { keys }: Repository): void {
  const { snapshots } = world.size;
  const each = Math.ceil(snapshots / CHECKS);
  const checked = Array.from({ length: CHECKS }, (_, k) => [
    new Date(world.now.getTime() - (CHECKS - k) * DAY_MS).toISOString(),
    Array.from({ length: Math.max(0, Math.min(each, snapshots - k * each)) }, (_, j) => [
      ...[world.session(k * each + j), [1, world.packsEach]],
    ]),
  ]);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.checks`, keys.seal(CHECKS_NAME, { format: 1, checked, damaged: [] }));
}

/** Puts it into a repository's folder. */
export function placeChecks(path: string, folder: string): void {
  mkdirSync(join(folder, 'checks'), { recursive: true });
  copyFileSync(`${path}.checks`, join(folder, CHECKS_NAME));
}
