/** One file of the project: its path from the top, with slashes, and its text. */
export interface SourceFile {
  path: string;
  text: string;
}

export interface Project {
  files: SourceFile[];
  /** Whether a path from the top is a file or a folder. */
  has(path: string): boolean;
  /** Names of the packages that the published program brings along, and of those only its development does. */
  dependencies: string[];
  devDependencies: string[];
}

export interface Breach {
  rule: string;
  path: string;
  /** From 1; 0 where it is about the file as a whole. */
  line: number;
  /** What is wrong. */
  fault: string;
  /** What to do instead. */
  instead: string;
}

/** A rule looks at one file at a time and says what is wrong in it. */
export type Rule = (file: SourceFile, project: Project) => Breach[];

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
