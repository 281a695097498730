import { readdirSync, readFileSync } from 'node:fs';

/**
 * What processes used, from Linux's /proc. A process that ends between two reads is passed over.
 * Source: https://man7.org/linux/man-pages/man5/proc.5.html
 */

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** CPU seconds of all processes that this one, or one of its children, started and waited for. */
export function reapedCpuSeconds(): number {
  const { childTicks } = ticksOf(process.pid)!;
  return childTicks / TICKS_PER_SECOND;
}

/** CPU seconds of a process and its children, those that ended included. */
export function familyCpuSeconds(pid: number): number {
  const own = ticksOf(pid);
  if (!own) return 0;
  let ticks = own.ticks + own.childTicks;
  for (const child of childrenOf(pid)) ticks += ticksOf(child)?.ticks ?? 0;
  return ticks / TICKS_PER_SECOND;
}

/** Resident bytes of a process and all below it, added up; pages they share count for each. */
export function treeResidentBytes(pid: number): number {
  let bytes = residentBytes(pid);
  for (const child of childrenOf(pid)) bytes += treeResidentBytes(child);
  return bytes;
}

function ticksOf(pid: number): { ticks: number; childTicks: number } | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === '') return undefined;
  // The name, in brackets, may hold anything; what follows it are numbers, from field 3 on.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  return { ticks: fields[11]! + fields[12]!, childTicks: fields[13]! + fields[14]! };
}

function residentBytes(pid: number): number {
  return Number(read(`/proc/${pid}/statm`).split(' ')[1] ?? 0) * PAGE_BYTES;
}

/** Children are listed by the thread that started them. */
function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return threads
    .flatMap(thread => read(`/proc/${pid}/task/${thread}/children`).split(' '))
    .filter(word => word.trim() !== '')
    .map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
