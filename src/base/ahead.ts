/**
 * Does work for each item, up to `atOnce` at a time, and gives the results in the order of the items. A failure comes when
 * its turn does; then, or when the consumer stops, nothing more is begun.
 */
export async function* ahead<T, R>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  const source = items[Symbol.iterator]();
  const begin = () => {
    const { done, value } = source.next();
    if (done) return;
    const working = work(value);
    working.catch(() => {}); // told when it is this one's turn
    underWay.push(working);
  };
  for (let i = 0; i < atOnce; i++) begin();
  for (let next = underWay.shift(); next; next = underWay.shift()) {
    const result = await next;
    begin();
    yield result;
  }
}

/**
 * Does work for each item, up to `atOnce` at a time, begun in the order of the items. After a failure nothing more is begun,
 * and the first one is thrown when all that was under way has ended.
 */
export async function eachOf<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const source = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    try {
      for (let next = source.next(); !next.done && !failure; next = source.next()) await work(next.value);
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failure) throw failure.error;
}
