import { asTidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import type { PackFault } from '../../repository/check/check.ts';
import { packName } from '../../repository/format/packName.ts';
import { type PackLook, recordLooks } from '../../repository/packs/packChecks.ts';
import type { Repository } from '../../repository/repository.ts';

/** So much is done again at most after a kill. */
const RECORD_EVERY_MS = 60_000;

/** Collects what was found of packs, and keeps it in the repository now and then. */
export class Looks {
  readonly #repository: Repository;
  readonly #name: string;
  readonly #reporter: Reporter;
  readonly #whole: boolean;
  #looks = new Map<string, PackLook>();
  #recorded = performance.now();
  #told = false;

  /** @param whole chunks are held against the lists too. */
  constructor(repository: Repository, name: string, reporter: Reporter, whole: boolean) {
    this.#repository = repository;
    this.#name = name;
    this.#reporter = reporter;
    this.#whole = whole;
  }

  /** One that could not be reached was not looked at. A pack may come more than once, where it is checked in pieces. */
  add(
    { session, number }: Pick<PackLook, 'session' | 'number'>,
    faults: readonly Pick<PackFault, 'code' | 'lasting'>[],
  ): void {
    if (faults.some(fault => !fault.lasting)) return;
    const name = packName(session, number);
    const code = faults[0]?.code ?? this.#looks.get(name)?.code ?? null;
    this.#looks.set(name, { session, number, code, whole: this.#whole });
  }

  async recordNowAndThen(): Promise<void> {
    if (performance.now() - this.#recorded > RECORD_EVERY_MS) await this.record();
  }

  /**
   * Whoever may not write to the repository may verify it all the same.
   *
   * @param keep whether a pack still counts.
   */
  async record(keep?: (session: string, number: number) => boolean): Promise<void> {
    this.#recorded = performance.now();
    const looks = [...this.#looks.values()];
    this.#looks = new Map();
    if (looks.length === 0) return;
    try {
      await recordLooks(this.#repository, looks, keep);
    } catch (error) {
      if (this.#told) return;
      this.#told = true;
      const { message, code } = asTidemarkError(error);
      this.#reporter.note(`${this.#name}: what was checked can't be recorded: ${message} [${code}]`);
    }
  }
}
