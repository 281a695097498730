/** A pack as manifests name it. */
export type PackRef = [session: string, number: number, sizeBytes: number];

/** `20261121-095747000-3f9c2a7b/00000001`, as it stands under `packs/`. */
export function packName(session: string, number: number): string {
  return `${session}/${String(number).padStart(8, '0')}`;
}
