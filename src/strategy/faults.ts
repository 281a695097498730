import { TidemarkError } from '../base/errors.ts';

/** Keys and indexes from the top of the strategy to a value: `['plans', 'daily', 'store', 0]`. */
export type Path = readonly (string | number)[];

/** One thing that is wrong in a strategy file, at the place where it can be corrected. */
export interface StrategyFault {
  /** Both count from 1. */
  line: number;
  column: number;
  /** As `plans.daily.store[0]`; empty for the file as a whole. */
  path: string;
  /** What is wrong. Never contains the value of a variable, nor a value that could be a secret. */
  message: string;
  hint: string;
}

/** Everything that is wrong with a strategy file: its message has one line a fault, as compilers write them. */
export class StrategyError extends TidemarkError {
  readonly faults: readonly StrategyFault[];

  constructor(file: string, faults: readonly StrategyFault[]) {
    const lines = faults.map(
      fault => `${file}:${fault.line}:${fault.column}: ${fault.message} (${fault.hint})`,
    );
    super('STRATEGY_INVALID', lines.join('\n'), `correct ${file} and run the same command again`, {
      kind: 'usage',
    });
    this.name = 'StrategyError';
    this.faults = faults;
  }

  override toJSON() {
    return { ...super.toJSON(), faults: this.faults };
  }
}

/** Where a fault is shown: at a value, or at the key that leads to it. */
export type Spot = 'key' | 'value';

/** Takes down one fault after the other; where two say the same at one place, one remains. */
export type Report = (path: Path, spot: Spot, message: string, hint: string) => void;

/** A path as people write it: `plans.daily.store[0]`; names that are not plain words are quoted. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += (text === '' ? '' : '.') + (/^[\w-]+$/.test(step) ? step : JSON.stringify(step));
  }
  return text;
}

/** By place in the file, each once. */
export function sortedFaults(faults: readonly StrategyFault[]): StrategyFault[] {
  const seen = new Map(faults.map(fault => [`${fault.line}:${fault.column}:${fault.message}`, fault]));
  return [...seen.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}
