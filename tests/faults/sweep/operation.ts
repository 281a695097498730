import type { Place, SweepSite } from './site.ts';

/** One operation that is swept. */
export interface Operation<Result = unknown> {
  name: string;
  /** The repository whose storage fails. */
  faulty: Place;
  /** In the short sweep only every so many-th position is tried, another one with each seed. */
  every?: number;
  /** What each position begins with, in a folder of its own. */
  prepare(): Promise<SweepSite>;
  /** Returns when it has reported success. `again`: after a run that was cut off, or ended well. */
  run(site: SweepSite, again: boolean): Promise<Result>;
  /**
   * Fails unless what was reported is so. Looked at past all faults, right after the run. `saw`: whether the run was shown
   * all that there is, so that it must have done all that there was to do.
   */
  holds(site: SweepSite, result: Result, saw: boolean): Promise<void>;
}
