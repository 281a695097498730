/** What commands may leave where the process ends before they have cleaned up. docs/recovery.md has it at length. */

const ENDS = 'ends by itself after 30 minutes';
const UNUSED_PACKS = 'packs that no snapshot refers to, which prune frees later';

export const LEAVES = {
  /** Of every command that reads snapshots. */
  lease: `a lease in the repository, which ${ENDS}`,
  backup: `packs that no snapshot refers to, of which the next backup takes what it can and prune frees the rest; a lease, which ${ENDS}`,
  copy: `${UNUSED_PACKS}; leases in both repositories, which end by themselves after 30 minutes`,
  heal: `${UNUSED_PACKS}, or a snapshot twice, damaged and whole, of which the next heal ends the damaged one; leases, which end by themselves after 30 minutes`,
  repair: `${UNUSED_PACKS}, and some snapshots not yet repaired: run it again once its lease has ended, after 30 minutes`,
  forget: `some snapshots forgotten and others not; a lease, which ${ENDS}`,
  prune: `some of its work undone, which the next prune takes up once the lease of this one has ended, after 30 minutes`,
  hold: 'a hold that is placed, or not: tidemark show tells',
  release: 'some holds released and others not: tidemark show tells',
  slot: 'a change of slots that is made, or not: tidemark key list tells; a lease that keeps others from changing keys for 30 minutes',
  rotate:
    'the old secret or the new one, and slots of both: run it again once its lease has ended, after 30 minutes',
  doctor: 'objects under doctor/, which the next doctor removes a day later',
  init: 'what it has made by then, such as a key or a repository without snapshots: run it again',
  thaw: 'objects that are ordered to be thawed',
} as const;
