/**
 * Gives the memory of a large buffer back at once, rather than at some collection: a thread that goes through many would
 * hold dozens of dead ones. Nobody may use the buffer after, nor anything that was cut from it; small ones share memory with
 * others, and stay.
 */
export function release(buffer: Buffer): void {
  const memory = buffer.buffer;
  if (memory instanceof ArrayBuffer && memory.byteLength > Buffer.poolSize) memory.transfer(0);
}
