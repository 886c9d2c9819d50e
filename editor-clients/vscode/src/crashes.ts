// When a server that ended may be started again: four times in three minutes, then the user is asked. Pure.

export const MAX_RESTARTS = 4;
export const WINDOW_MS = 180_000;

/** Counts ends of the server. */
export class Crashes {
  private times: number[] = [];

  constructor(private readonly now: () => number = Date.now) {}

  /** Note one more; whether the server may be started again at once. */
  mayRestart(): boolean {
    const now = this.now();
    this.times = [...this.times.filter((time) => now - time < WINDOW_MS), now];
    return this.times.length <= MAX_RESTARTS;
  }
}
