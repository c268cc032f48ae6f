import { useEffect, useState } from 'react';

import type { AuditLine } from '../utils/audit';
import type { ApiError } from '../utils/errors';
import { followStream } from '../utils/sockets';

export interface Audit {
  lines: readonly AuditLine[];
  state: 'loading' | 'live' | 'reconnecting' | 'refused';
  error: ApiError | null;
}

const KEPT = 1000;
const FIRST = 300;

/** The audit log, newest first, live. */
export function useAudit(): Audit {
  const [audit, setAudit] = useState<Audit>({ lines: [], state: 'loading', error: null });
  useEffect(() => {
    const stopping = new AbortController();
    // What comes again after a lost connection is known by its request.
    let known = new Set<string>();
    const hears = {
      open: () => setAudit((before) => ({ ...before, state: 'live', error: null })),
      lines: (told: string[]) => {
        const fresh = told
          .map((line) => JSON.parse(line) as { type: string; object: AuditLine })
          .filter(({ type, object }) => type === 'ADDED' && !known.has(object.requestId))
          .map(({ object }) => object);
        known = new Set([...known, ...fresh.map((line) => line.requestId)]);
        if (fresh.length)
          setAudit((before) => ({ ...before, lines: [...fresh.reverse(), ...before.lines].slice(0, KEPT) }));
      },
      closed: (error?: ApiError) => {
        const refused = error !== undefined && error.code < 500;
        setAudit((before) => ({ ...before, state: refused ? 'refused' : 'reconnecting', error: error ?? null }));
      },
    };
    void followStream(() => `/audit?tail=${FIRST}&watch=true`, hears, stopping.signal);
    return () => stopping.abort();
  }, []);
  return audit;
}
