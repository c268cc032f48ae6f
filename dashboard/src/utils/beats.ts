/** The workers' heartbeats, as they come: `GET /agents/leases?watch=true`. Live numbers; nothing is stored. */
import { patience, rest } from './backoff';
import { Observable } from './observable';
import { openStream } from './sockets';

export interface Beat {
  worker: string;
  ageSeconds: number;
  usage: { cpu: number; memory: number; disk: number; networkReceived: number; networkSent: number };
  services: Record<string, { cpu: number; memory: number }>;
  /** When this page heard it, in ms since 1970. */
  heardAt: number;
  /** The last minute of CPU use in cores, oldest first. */
  cpuTrail: number[];
}

const TRAIL = 60;
export const beats = new Observable<ReadonlyMap<string, Beat>>(new Map());
let users = 0;
let running: AbortController | null = null;

/** Follows the beats until the returned function is called. */
export function useBeatsOnce(): () => void {
  users += 1;
  if (!running) {
    running = new AbortController();
    void run(running.signal);
  }
  return () => {
    users -= 1;
    if (users > 0) return;
    running?.abort();
    running = null;
  };
}

async function run(signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const opened = await follow(signal).catch(() => false);
    if (opened) attempt = 0;
    await rest(patience(attempt), signal);
  }
}

function follow(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let opened = false;
    openStream('/agents/leases?watch=true', {
      open: () => (opened = true),
      lines: hear,
      closed: () => resolve(opened),
    }).then((stream) => {
      const stop = () => {
        stream.close();
        resolve(opened);
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop);
    }, reject);
  });
}

function hear(lines: string[]): void {
  const next = new Map(beats.get());
  for (const line of lines) {
    const { type, object } = JSON.parse(line) as { type: string; object: Omit<Beat, 'heardAt' | 'cpuTrail'> };
    if (type === 'ERROR') continue;
    const trail = [...(next.get(object.worker)?.cpuTrail ?? []), object.usage.cpu].slice(-TRAIL);
    next.set(object.worker, { ...object, heardAt: Date.now() - object.ageSeconds * 1000, cpuTrail: trail });
  }
  beats.set(next);
}
