import { useEffect, useState } from 'react';

import { patience, rest } from '../utils/backoff';
import { readLine, type LogLine } from '../utils/logs';
import { openStream } from '../utils/sockets';

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

async function follow(
  path: string,
  signal: AbortSignal,
  tell: (change: (before: Logs) => Logs) => void,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    await new Promise<void>((resolve) => {
      let number = 0;
      openStream(path, {
        open: () => {
          attempt = 0;
          tell(() => ({ lines: [], state: 'live', error: null }));
        },
        lines: (lines) => {
          const fresh = lines.map((line) => readLine(line, (number += 1)));
          tell((before) => ({ ...before, lines: [...before.lines, ...fresh].slice(-KEPT) }));
        },
        closed: (error) => {
          const refused = error !== undefined && error.code >= 400 && error.code < 500;
          tell((before) => ({ ...before, state: refused ? 'refused' : 'connecting', error: error?.message ?? null }));
          resolve();
        },
      }).then(
        (stream) => {
          const stop = () => {
            stream.close();
            resolve();
          };
          if (signal.aborted) stop();
          else signal.addEventListener('abort', stop);
        },
        () => resolve(),
      );
    });
    await rest(patience(attempt), signal);
  }
}
