/**
 * Whether the cloud is well, as the conductor tells everybody: `GET /health/report`. Asked again soon after a service,
 * a worker or a key has changed, and now and then for what is stored nowhere: disks, memory, certificates.
 */
import { allOf } from './actions';
import { ask } from './api';
import { ApiError, Unreachable } from './errors';
import { Observable } from './observable';
import { KEYS, SERVICES, WORKERS } from './resources';
import { session } from './session';
import { whileUsed } from './shared';

export interface Finding {
  severity: 'critical' | 'warning' | 'info';
  code: string;
  object: { kind: string; namespace: string; name: string };
  message: string;
  fix: string;
}

export interface Report {
  verdict: 'Well' | 'NeedsAttention' | 'NotWell';
  /** The verdict in the words every door uses. */
  summary: string;
  findings: readonly Finding[];
}

export interface Told {
  /** null: not told yet. What was told last stays while nobody answers. */
  report: Report | null;
  error: ApiError | null;
}

const NOTHING: Told = { report: null, error: null };
const EVERY_MS = 10_000;
/** Many changes come together. */
const SOON_MS = 250;
const APART_MS = 1000;

export const told = new Observable<Told>(NOTHING);

/** Follows the report until the returned function is called. */
export const followReport = whileUsed((signal) => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let askedAt = -Infinity;
  let dueAt = Infinity;
  let asking = false;
  /** Never later than what was planned before, or changes that never pause would keep it from being asked at all. */
  const within = (ms: number) => {
    const at = performance.now() + ms;
    if (signal.aborted || dueAt <= at) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(() => {
      dueAt = Infinity;
      void look();
    }, ms);
  };
  const look = async () => {
    if (asking) return within(SOON_MS);
    if (session.get().state !== 'in') return; // logging in begins it again
    asking = true;
    askedAt = performance.now();
    const next = await read(signal).finally(() => (asking = false));
    if (!signal.aborted && next) told.set(next);
    within(EVERY_MS);
  };
  const soon = () => within(Math.max(SOON_MS, askedAt + APART_MS - performance.now()));
  const mirrors = [SERVICES, WORKERS, KEYS].map((kind) => allOf(kind));
  const ends = [
    ...mirrors.map((each) => each.use()),
    ...mirrors.map((each) => each.view.subscribe(soon)),
    // Whoever comes next may read other things.
    session.subscribe(() => {
      if (session.get().state !== 'in') told.set(NOTHING);
      else soon();
    }),
  ];
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    ends.forEach((end) => end());
    told.set(NOTHING);
  });
  void look();
});

async function read(signal: AbortSignal): Promise<Told | null> {
  try {
    return { report: await ask<Report>('/health/report', { signal }), error: null };
  } catch (error) {
    if (error instanceof Unreachable || !(error instanceof ApiError)) return null;
    return { report: null, error };
  }
}
