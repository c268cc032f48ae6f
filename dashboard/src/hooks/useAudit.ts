import { useEffect, useState } from 'react';

import type { AuditLine } from '../utils/audit';
import { drawSoon } from '../utils/drawing';
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
    const known = new Set<string>();
    let fresh: AuditLine[] = [];
    const show = () => {
      const newest = fresh.reverse();
      fresh = [];
      setAudit((before) => ({ ...before, lines: [...newest, ...before.lines].slice(0, KEPT) }));
    };
    const hears = {
      open: () => setAudit((before) => ({ ...before, state: 'live', error: null })),
      lines: (told: string[]) => {
        for (const line of told) {
          const { type, object } = JSON.parse(line) as { type: string; object: AuditLine };
          if (type !== 'ADDED' || known.has(object.requestId)) continue;
          known.add(object.requestId);
          if (known.size > KEPT) known.delete(known.values().next().value!);
          fresh.push(object);
        }
        if (fresh.length) drawSoon(show, stopping.signal);
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
