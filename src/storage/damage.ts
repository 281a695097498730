/** What helps where stored bytes are missing or not as they were written; the one hint of every such fault. */
export const DAMAGE_HINT =
  "run 'tidemark verify --all' to see which snapshots are affected, then 'tidemark heal --all' (where another repository has them) or 'tidemark repair REPOSITORY'";
