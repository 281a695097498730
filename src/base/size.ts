/** Sizes as people write them: a number and a unit, MB being a million bytes and MiB 2^20. */

const UNITS: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** For editors; reads as `readSize` does, but for capitals. */
export const SIZE_PATTERN = '[0-9]+(\\.[0-9]+)? ?[KMGT]?i?B';

/** Bytes; undefined where the text is no size. */
export function readSize(text: string): number | undefined {
  const [, number, unit] = /^([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]?i?B)$/i.exec(text.trim()) ?? [];
  if (number === undefined) return undefined;
  const factor = UNITS[unit!.toUpperCase()];
  const bytes = factor === undefined ? Number.NaN : Math.round(Number(number) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
