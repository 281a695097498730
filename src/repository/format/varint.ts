import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';

/** Writes unsigned LEB128 numbers below 2^53. */
export class VarintWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(sizeBytes: number) {
    this.#buffer = Buffer.alloc(sizeBytes);
  }

  byte(value: number): void {
    if (this.#at + 9 > this.#buffer.length)
      this.#buffer = Buffer.concat([this.#buffer], this.#buffer.length * 2 + 64);
    this.#buffer[this.#at++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.byte((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  text(value: string): void {
    this.varint(value.length);
    for (let i = 0; i < value.length; i++) this.byte(value.charCodeAt(i));
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#at;
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }
}

/** Reads what VarintWriter wrote; running past the end is an error. */
export class VarintReader {
  at = 0;
  readonly #bytes: Buffer;
  readonly #where: string;

  constructor(bytes: Buffer, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  byte(): number {
    if (this.at >= this.#bytes.length) throw damaged(this.#where);
    return this.#bytes[this.at++]!;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw damaged(this.#where);
  }

  /** A number of things that follow, each at least a byte. */
  count(): number {
    const count = this.varint();
    if (count > this.#bytes.length - this.at) throw damaged(this.#where);
    return count;
  }

  text(): string {
    const length = this.count();
    const text = this.#bytes.toString('latin1', this.at, this.at + length);
    this.at += length;
    return text;
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.at);
  }
}

export function damaged(where: string): Error {
  return faultError('LIST_DAMAGED', `the chunk list of ${where} can't be read`, DAMAGE_HINT);
}
