import type { CliCommand, CliGroup } from '../command.ts';
import type { SUMMARIES } from '../summaries.ts';

type Load = () => Promise<CliCommand | CliGroup>;

/** Every command, loaded when it is asked for. */
export const COMMANDS: Readonly<Record<string, Load>> = {
  init: async () => (await import('./init.ts')).command,
  check: async () => (await import('./check.ts')).command,
  doctor: async () => (await import('./doctor.ts')).command,
  backup: async () => (await import('./backup.ts')).command,
  list: async () => (await import('./list.ts')).command,
  show: async () => (await import('./show.ts')).command,
  verify: async () => (await import('./verify.ts')).command,
  restore: async () => (await import('./restore.ts')).command,
  export: async () => (await import('./export.ts')).command,
  heal: async () => (await import('./heal.ts')).command,
  repair: async () => (await import('./repair.ts')).command,
  copy: async () => (await import('./copy.ts')).command,
  thaw: async () => (await import('./thaw.ts')).command,
  hold: async () => (await import('./hold.ts')).command,
  release: async () => (await import('./release.ts')).command,
  forget: async () => (await import('./forget.ts')).command,
  prune: async () => (await import('./prune.ts')).command,
  lifecycle: async () => (await import('./lifecycle.ts')).command,
  key: async () => (await import('./key.ts')).command,
  demo: async () => (await import('./demo.ts')).command,
} satisfies Record<keyof typeof SUMMARIES, Load>;
