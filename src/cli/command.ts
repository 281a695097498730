import type { Command } from 'commander';
import type { Strategy } from '../strategy/spec.ts';
import type { Output } from './output.ts';
import type { ProgressLine } from './progress.ts';

/** What every command is given. */
export interface Context {
  output: Output;
  progress: ProgressLine;
  /** Aborted by Ctrl-C, SIGTERM and SIGHUP. */
  signal: AbortSignal;
  environment: NodeJS.ProcessEnv;
  /** Path of the strategy file as given. */
  config: string;
  version: string;
  /** The strategy; secrets that are missing are faults only for what `uses` names. */
  strategy(uses?: { databases?: string[]; repositories?: string[] }): Promise<Strategy>;
  /** Asks on the terminal; false where there is none. */
  ask(question: string): Promise<boolean>;
}

/** Commands that share a name: `key list`, `key add` … */
export interface CliGroup {
  name: string;
  summary: string;
  commands: readonly CliCommand[];
}

/** One command of the program: its options, and what it does. Exit codes other than 0 come from errors or the result. */
export interface CliCommand {
  /** commander's syntax: `restore <what>`. */
  name: string;
  summary: string;
  /** What it may leave where the process ends before it has cleaned up (docs/recovery.md); left out: nothing. */
  leaves?: string;
  /** Adds arguments, options and examples. */
  define(command: Command): void;
  /** `args` are the arguments in order, then the options. Resolves to the exit code, 0 if nothing is returned. */
  run(context: Context, args: unknown[], options: Record<string, unknown>): Promise<number | undefined>;
}
