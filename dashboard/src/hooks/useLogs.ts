import { useEffect, useState } from 'react';

import { drawSoon } from '../utils/drawing';
import type { ApiError } from '../utils/errors';
import { readLine, type LogLine } from '../utils/logs';
import { followStream } from '../utils/sockets';

interface Logs {
  lines: readonly LogLine[];
  state: 'connecting' | 'live' | 'refused';
  error: string | null;
}

const KEPT = 5000;
const FIRST = 400;

/** The log of a service: the last lines, then the new ones as they come. Starts over after a lost connection. */
export function useLogs(namespace: string, service: string, instance: string): Logs {
  const [logs, setLogs] = useState<Logs>({ lines: [], state: 'connecting', error: null });
  useEffect(() => {
    const stopping = new AbortController();
    const only = instance ? `&instance=${encodeURIComponent(instance)}` : '';
    const path = `/logs/${namespace}/${service}?tail=${FIRST}&follow=true${only}`;
    void follow(path, stopping.signal, setLogs);
    return () => stopping.abort();
  }, [namespace, service, instance]);
  return logs;
}

function follow(path: string, signal: AbortSignal, tell: (change: (before: Logs) => Logs) => void): Promise<void> {
  let number = 0;
  let gathered: LogLine[] = [];
  const show = () => {
    const fresh = gathered;
    gathered = [];
    tell((before) => ({ ...before, lines: [...before.lines, ...fresh].slice(-KEPT) }));
  };
  const hears = {
    open: () => {
      gathered = [];
      number = 0;
      tell(() => ({ lines: [], state: 'live', error: null }));
    },
    lines: (lines: string[]) => {
      for (const line of lines) gathered.push(readLine(line, (number += 1)));
      // A busy service writes faster than anybody reads: many lines become one repaint.
      drawSoon(show, signal);
    },
    closed: (error?: ApiError) => {
      const refused = error !== undefined && error.code >= 400 && error.code < 500;
      tell((before) => ({ ...before, state: refused ? 'refused' : 'connecting', error: error?.message ?? null }));
    },
  };
  return followStream(() => path, hears, signal);
}
