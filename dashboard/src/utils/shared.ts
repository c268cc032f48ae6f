/** Something that runs while anybody looks: started by the first, stopped a while after the last has gone. */

/** Long enough to go to the next screen without losing what was gathered. */
const LINGER_MS = 30_000;

export function whileUsed(run: (signal: AbortSignal) => void): () => () => void {
  let users = 0;
  let running: AbortController | null = null;
  let lingering: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    running?.abort();
    running = null;
  };
  return () => {
    users += 1;
    clearTimeout(lingering);
    if (!running) {
      running = new AbortController();
      run(running.signal);
    }
    return () => {
      users -= 1;
      if (users === 0) lingering = setTimeout(stop, LINGER_MS);
    };
  };
}
