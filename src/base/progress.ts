/** How an operation tells how far it is. The command line draws it; anything else may listen instead. */
export interface Reporter {
  /** A new stretch of work; `totalBytes` null where nobody knows. */
  begin(what: string, totalBytes: number | null): void;
  advance(bytes: number): void;
  end(): void;
  /** A line worth keeping: a warning, something left out. */
  note(line: string): void;
  /** What is waited for: shown at once, and no part of the result. */
  waiting?(line: string): void;
  /** What would stay behind if the process ended now without cleaning up; null where nothing would. */
  leaves?(what: string | null): void;
}

export const SILENT: Reporter = { begin() {}, advance() {}, end() {}, note() {} };
