/** How long to wait for a server. */
export interface Timing {
  /** For the connection, for the login, and for a channel: each. */
  connectMs: number;
  /** While something is asked and nothing comes. */
  silenceMs: number;
  /** Of rest, after which it is asked whether it is still there. */
  keepAliveMs: number;
}

export const TIMING: Timing = { connectMs: 20_000, silenceMs: 60_000, keepAliveMs: 30_000 };
