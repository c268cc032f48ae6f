import { useEffect, useEffectEvent, useState } from 'react';

import { isRefusal } from '../utils/errors';

/** After which a question is asked again that its service could not answer. */
const AGAIN_MS = 5000;

export interface Asked<T> {
  /** null: not told yet. What was told last stays while nobody answers. */
  value: T | null;
  error: unknown;
  again: () => void;
}

/**
 * What has no watch, asked of its service when one looks, and again every so often where that is said. `what` names the
 * question: another one is asked anew. While the tab is hidden nothing is asked.
 */
export function useAsked<T>(what: string, read: (signal: AbortSignal) => Promise<T>, everyMs = 0): Asked<T> {
  const [told, setTold] = useState<{ value: T | null; error: unknown }>({ value: null, error: null });
  const [round, setRound] = useState(0);
  const ask = useEffectEvent(read);
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      let lasting = false;
      let wait = everyMs;
      if (!document.hidden) {
        try {
          const value = await ask(end.signal);
          if (!end.signal.aborted) setTold({ value, error: null });
        } catch (error) {
          lasting = isRefusal(error);
          wait ||= AGAIN_MS;
          if (!end.signal.aborted) setTold((before) => ({ ...before, error }));
        }
      }
      if (wait && !lasting && !end.signal.aborted) timer = setTimeout(() => void look(), wait);
    };
    void look();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [what, round, everyMs]);
  return { ...told, again: () => setRound(round + 1) };
}
