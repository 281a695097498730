/** A word as a POSIX shell takes it, quoted only where it must be. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command line that can be pasted into a POSIX shell. An operand that starts with `-` is kept from being an option. */
export function shellCommand(words: readonly string[], operands: readonly string[] = []): string {
  const guarded = operands.some(word => word.startsWith('-')) ? ['--', ...operands] : operands;
  return [...words, ...guarded].map(shellWord).join(' ');
}
