import type { Reporter } from '../base/progress.ts';
import { formatBytes, formatSeconds, printable } from './output.ts';

const REDRAW_MS = 100;
/** Where there is no terminal, a plain line now and then. */
const PLAIN_MS = 10_000;

/** Draws progress on stderr: one line that is redrawn on a terminal, plain lines elsewhere. */
export class ProgressLine implements Reporter {
  readonly #stream = process.stderr;
  readonly #live = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  #what = '';
  #total: number | null = null;
  #done = 0;
  #started = 0;
  #drawn = 0;
  #shown = false;
  #remains: string | null = null;

  begin(what: string, totalBytes: number | null): void {
    this.#clear();
    this.#what = what;
    this.#total = totalBytes;
    this.#done = 0;
    this.#started = this.#drawn = performance.now();
    if (this.#live) this.#draw();
  }

  advance(bytes: number): void {
    this.#done += bytes;
    const now = performance.now();
    if (now - this.#drawn < (this.#live ? REDRAW_MS : PLAIN_MS)) return;
    this.#drawn = now;
    this.#draw();
  }

  end(): void {
    this.#clear();
  }

  note(line: string): void {
    this.#clear();
    this.#stream.write(`${printable(line)}\n`);
  }

  leaves(what: string | null): void {
    this.#remains = what;
  }

  /** What would stay behind if the process ended now. */
  get remains(): string | null {
    return this.#remains;
  }

  #draw(): void {
    const line = printable(this.#text());
    if (!this.#live) {
      this.#stream.write(`${line}\n`);
      return;
    }
    const width = this.#stream.columns || 80;
    this.#stream.write(`\r\x1b[2K${line.slice(0, width - 1)}`);
    this.#shown = true;
  }

  #clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[2K');
    this.#shown = false;
  }

  #text(): string {
    const seconds = (performance.now() - this.#started) / 1000;
    if (this.#done === 0) return `${this.#what} …`;
    const rate = this.#done / Math.max(seconds, 0.001);
    const parts = [this.#what, formatBytes(this.#done)];
    if (this.#total) {
      // What tables hold on disk and what they send differ; never claim to be past the end.
      const share = Math.min(0.99, this.#done / this.#total);
      parts.push(`of about ${formatBytes(this.#total)}`, `${Math.floor(share * 100)} %`);
    }
    parts.push(`${formatBytes(rate)}/s`);
    if (this.#total && this.#total > this.#done)
      parts.push(`${formatSeconds((this.#total - this.#done) / rate)} left`);
    return parts.join('  ');
  }
}
