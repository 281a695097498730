/** Equal values, each once in memory: for what thousands of records have in common. */
export class Interned<T> {
  readonly #known = new Map<string, T>();

  /** The first value that was equal, as JSON. */
  once(value: T): T {
    const key = typeof value === 'string' ? value : JSON.stringify(value);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, value);
    return value;
  }
}
