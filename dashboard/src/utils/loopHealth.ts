/** The conductor's control loop, as `GET /health/loop` tells it: numbers, and what they mean in a word. */
import type { Health } from './health';
import { span } from './time';

export interface Times {
  count: number;
  mean: number | null;
  /** 99 of 100 took no longer; null: longer than is counted apart, or none was counted. */
  within99: number | null;
}

export interface LoopKind {
  /** `plural.group` */
  name: string;
  /** null: the kind is read, and has no reconciler of ours. */
  queue: { depth: number; delayed: number; working: number; oldestSeconds: number } | null;
  passes: {
    results: Record<string, number>;
    retries: number;
    seconds: Times;
    last: string | null;
    lastSecondsAgo: number | null;
  } | null;
  informer: { resources: number; lagRevisions: number; disconnectedSeconds: number } | null;
}

export interface LoopHealth {
  observedAt: string;
  kinds: readonly LoopKind[];
  store: { revision: number; changes: number; changesPerCommit: number | null; commits: Times; failedCommits: number };
  watchers: { now: number; byKind: Record<string, number>; slow: number; expired: number };
  unreadableRecords: number;
  /** null: no collector is set. */
  traces: { exported: number; failed: number } | null;
}

const FAILURES = ['temporary', 'permanent', 'unexpected'];
/** A key that waits longer, or a copy that does not follow for longer, is worth a look; and then worth worry. */
const LOOK_SECONDS = 10;
const WORRY_SECONDS = 60;

/** One kind in a word, worst first. */
export function stateOf(kind: LoopKind): { health: Health; word: string } {
  const away = kind.informer?.disconnectedSeconds ?? 0;
  if (away > LOOK_SECONDS) return { health: away > WORRY_SECONDS ? 'bad' : 'warn', word: 'Disconnected' };
  const oldest = kind.queue?.oldestSeconds ?? 0;
  if (oldest > LOOK_SECONDS) return { health: oldest > WORRY_SECONDS ? 'bad' : 'warn', word: 'Behind' };
  if (FAILURES.includes(kind.passes?.last ?? '')) return { health: 'warn', word: 'Failed last' };
  if (!kind.queue) return { health: 'idle', word: 'Only read' };
  if (kind.queue.depth + kind.queue.working > 0) return { health: 'busy', word: 'Working' };
  return { health: 'well', word: 'Keeps up' };
}

/** `12 · 2 failed · 3 retried` */
export function passesTold({ passes }: LoopKind): string {
  if (!passes) return '–';
  const failed = FAILURES.reduce((sum, how) => sum + (passes.results[how] ?? 0), 0);
  return parts([
    passes.seconds.count.toLocaleString('en'),
    failed ? `${failed.toLocaleString('en')} failed` : '',
    passes.retries ? `${passes.retries.toLocaleString('en')} retried` : '',
  ]);
}

/** `3 · 2 working · 1 later` */
export function queueTold({ queue }: LoopKind): string {
  if (!queue) return '–';
  return parts([
    String(queue.depth),
    queue.working ? `${queue.working} working` : '',
    queue.delayed ? `${queue.delayed} later` : '',
  ]);
}

/** `done, 4 s ago` */
export function lastTold({ passes }: LoopKind): string {
  if (!passes?.last || passes.lastSecondsAgo === null) return '–';
  return `${passes.last}, ${span(passes.lastSecondsAgo)} ago`;
}

/** `12 resources`, and how far it is behind where it is. */
export function informerTold({ informer }: LoopKind): string {
  if (!informer) return '–';
  return parts([
    `${informer.resources.toLocaleString('en')} ${informer.resources === 1 ? 'resource' : 'resources'}`,
    informer.lagRevisions ? `${informer.lagRevisions.toLocaleString('en')} revisions behind` : '',
    informer.disconnectedSeconds >= 1 ? `away for ${span(informer.disconnectedSeconds)}` : '',
  ]);
}

/** `1.2 ms, 99 % within 5 ms` */
export function timesTold({ count, mean, within99 }: Times): string {
  if (!count || mean === null) return '–';
  return within99 === null ? duration(mean) : `${duration(mean)}, 99 % within ${duration(within99)}`;
}

/** `0.4 ms`, `25 ms`, `2.5 s` */
export function duration(seconds: number): string {
  if (seconds >= 1) return `${Number(seconds.toFixed(1))} s`;
  const ms = seconds * 1000;
  return `${Number(ms.toFixed(ms < 10 ? 1 : 0))} ms`;
}

function parts(told: readonly string[]): string {
  return told.filter(Boolean).join(' · ');
}
