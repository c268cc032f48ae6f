/** Work that is asked for more often than it should be done. */

export interface Paced {
  ask: () => void;
  stop: () => void;
}

/**
 * `work` one at a time, with a rest after each of `restMs`, or of as long as it took where that is longer; whatever is
 * asked for meanwhile is done once, after it. It is never put off by being asked again: work that waits for a silence
 * waits for ever where there is none. When it fails, the browser reports it, and it goes on.
 */
export function paced(work: (signal: AbortSignal) => Promise<void>, restMs: number): Paced {
  const stopping = new AbortController();
  let busy = false;
  let wanted = false;
  const begin = async () => {
    busy = true;
    wanted = false;
    const began = performance.now();
    try {
      await work(stopping.signal);
    } finally {
      if (!stopping.signal.aborted) setTimeout(next, Math.max(restMs, performance.now() - began));
    }
  };
  const next = () => {
    busy = false;
    if (wanted && !stopping.signal.aborted) void begin();
  };
  return {
    ask: () => {
      wanted = true;
      if (!busy) void begin();
    },
    stop: () => stopping.abort(),
  };
}
