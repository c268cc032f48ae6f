import { useEffect, useState } from 'react';

import { ask } from '../utils/api';
import { ApiError } from '../utils/errors';
import type { LoopHealth } from '../utils/loopHealth';

const EVERY_MS = 3000;

export interface LoopTold {
  /** null: not told yet. What was told last stays while nobody answers. */
  loop: LoopHealth | null;
  error: ApiError | null;
}

/** The control loop as it is, asked again every few seconds while it is shown: counters have no watch. */
export function useLoopHealth(): LoopTold {
  const [told, setTold] = useState<LoopTold>({ loop: null, error: null });
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      const next = document.hidden ? null : await read(end.signal);
      if (end.signal.aborted) return;
      if (next) setTold(next);
      // Who is refused is refused again, and each time is a line in the audit log.
      if (next?.error) return;
      timer = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, []);
  return told;
}

async function read(signal: AbortSignal): Promise<LoopTold | null> {
  try {
    return { loop: await ask<LoopHealth>('/health/loop', { signal }), error: null };
  } catch (error) {
    const refused = error instanceof ApiError && error.code >= 400 && error.code < 500;
    return refused ? { loop: null, error } : null;
  }
}
