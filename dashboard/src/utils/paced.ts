/** Work that is asked for more often than it should be done. */

export interface Paced {
  ask: () => void;
  stop: () => void;
}

/**
 * `work` one at a time, with a rest of `restMs` after each; whatever is asked for meanwhile is done once, after it. It
 * is never put off by being asked again: work that waits for a silence waits for ever where there is none. `work` must
 * not fail.
 */
export function paced(work: (signal: AbortSignal) => Promise<void>, restMs: number): Paced {
  const stopping = new AbortController();
  let busy = false;
  let wanted = false;
  const begin = async () => {
    busy = true;
    wanted = false;
    await work(stopping.signal);
    if (!stopping.signal.aborted) setTimeout(next, restMs);
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
