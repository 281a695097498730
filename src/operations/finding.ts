export type Level = 'ok' | 'warning' | 'fault';

/** What one check found. A fault is what a backup or a recovery would fail on. */
export interface Finding {
  /** What was checked: `database shop`, `repository primary`. */
  subject: string;
  /** Which check: `connection`, `row-level security`. */
  check: string;
  level: Level;
  message: string;
  /** What to do; empty where there is nothing to do. */
  hint: string;
}

/** Collects the findings on one subject. */
export class Findings {
  readonly all: Finding[] = [];
  readonly #subject: string;

  constructor(subject: string) {
    this.#subject = subject;
  }

  ok(check: string, message: string): void {
    this.#add(check, 'ok', message, '');
  }

  warning(check: string, message: string, hint: string): void {
    this.#add(check, 'warning', message, hint);
  }

  fault(check: string, message: string, hint: string): void {
    this.#add(check, 'fault', message, hint);
  }

  /** An error as a fault: its message and hint are made for people already. */
  failure(check: string, error: { message: string; hint: string }): void {
    this.#add(check, 'fault', error.message, error.hint);
  }

  add({ check, level, message, hint }: Omit<Finding, 'subject'>): void {
    this.#add(check, level, message, hint);
  }

  #add(check: string, level: Level, message: string, hint: string): void {
    this.all.push({ subject: this.#subject, check, level, message, hint });
  }
}

/** At most ten names, and how many more there are. */
export function nameSome(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
