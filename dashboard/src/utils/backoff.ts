/** How long to wait before try number `attempt` (from 0), in ms: 0.5 s doubling to 15 s, jittered by a quarter. */
export function patience(attempt: number, random: () => number = Math.random): number {
  const whole = Math.min(15_000, 500 * 2 ** attempt);
  return whole * (0.75 + 0.5 * random());
}

/** Waits, or less when the network comes back or the page is shown again. */
export function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}
