/** Who asks whom through the gateway, live: `GET /traffic?watch=true` tells counters, here they become rates. */
import { longer, summed } from './beats';
import { Observable } from './observable';
import { whileUsed } from './shared';
import { followStream } from './sockets';

interface Told {
  from: string;
  to: string;
  requests: number;
  errors: number;
  seconds: number;
  /** Instances of `to` that the gateway gives no requests for a while: they failed. */
  ejected?: string[];
}

export interface Flow {
  from: string;
  to: string;
  /** Per second, over the last ten. */
  rate: number;
  errorRate: number;
  /** What one answer took, in ms, over the last ten seconds; 0 while nobody asked. */
  tookMs: number;
  /** Requests in each second of the last minute, oldest first. */
  trail: number[];
  errorTrail: number[];
  /** Instances that failed, and are given no requests for a while. */
  ejected: string[];
}

const PERIOD_MS = 1000;
const RATE_SECONDS = 10;

export const traffic = new Observable<readonly Flow[]>([]);

/** Counters of one pair, and what came in each second. Pure but for its own memory. */
export class Pair {
  private before: Told;
  private now: Told;
  private requests: number[] = [];
  private errors: number[] = [];
  private seconds: number[] = [];

  /** What was counted before one looked is no traffic of now. */
  constructor(told: Told) {
    this.before = this.now = told;
  }

  hear(told: Told): void {
    // Counters that went back belong to a conductor that started anew.
    if (told.requests < this.now.requests) this.before = { ...told, requests: 0, errors: 0, seconds: 0 };
    this.now = told;
  }

  /** A second is over. */
  tick(): Flow {
    this.requests = longer(this.requests, this.now.requests - this.before.requests);
    this.errors = longer(this.errors, this.now.errors - this.before.errors);
    this.seconds = longer(this.seconds, this.now.seconds - this.before.seconds);
    this.before = this.now;
    const [asked, failed, took] = [this.requests, this.errors, this.seconds].map(lately) as [number, number, number];
    const span = Math.min(RATE_SECONDS, this.requests.length);
    return {
      from: this.now.from,
      to: this.now.to,
      rate: asked / span,
      errorRate: failed / span,
      tookMs: asked ? (took / asked) * 1000 : 0,
      trail: this.requests,
      errorTrail: this.errors,
      ejected: this.now.ejected ?? [],
    };
  }
}

function lately(trail: readonly number[]): number {
  return trail.slice(-RATE_SECONDS).reduce((sum, each) => sum + each, 0);
}

/** Follows the traffic until the returned function is called. */
export const followTraffic = whileUsed((signal) => {
  const pairs = new Map<string, Pair>();
  const lines = (told: string[]) => {
    for (const line of told) {
      const { type, object } = JSON.parse(line) as { type: string; object: Told };
      if (type === 'ERROR') continue;
      const key = `${object.from}>${object.to}`;
      const known = pairs.get(key);
      if (known) known.hear(object);
      else pairs.set(key, new Pair(object));
    }
  };
  void followStream(() => '/traffic?watch=true', { lines, closed: () => undefined }, signal);
  const timer = setInterval(() => traffic.set([...pairs.values()].map((pair) => pair.tick())), PERIOD_MS);
  signal.addEventListener('abort', () => {
    clearInterval(timer);
    traffic.set([]);
  });
});

/** Everything that asks one service, as one. */
export function flowTo(service: string, flows: readonly Flow[]): Flow | undefined {
  const found = flows.filter((each) => each.to === service);
  if (found.length === 0) return undefined;
  const rate = found.reduce((sum, each) => sum + each.rate, 0);
  return {
    from: '',
    to: service,
    rate,
    errorRate: found.reduce((sum, each) => sum + each.errorRate, 0),
    tookMs: rate ? found.reduce((sum, each) => sum + each.tookMs * each.rate, 0) / rate : 0,
    trail: summed(found.map((each) => each.trail)),
    errorTrail: summed(found.map((each) => each.errorTrail)),
    ejected: [...new Set(found.flatMap((each) => each.ejected))].sort(),
  };
}

/** `0.4/s`, `12/s`, `1.2k/s` */
export function perSecond(rate: number): string {
  if (rate >= 1000) return `${(rate / 1000).toFixed(1)}k/s`;
  return `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/s`;
}

/** A share of requests that failed, as people say it; empty while none does. */
export function errorShare(flow: Pick<Flow, 'rate' | 'errorRate'>): string {
  if (flow.errorRate === 0 || flow.rate === 0) return '';
  const percent = (flow.errorRate / flow.rate) * 100;
  return `${percent < 1 ? '<1' : Math.round(percent)} % fail`;
}

/** `1 instance ejected: web-0`; empty while none is. */
export function ejections(flow: Pick<Flow, 'ejected'> | undefined): string {
  const names = flow?.ejected ?? [];
  if (names.length === 0) return '';
  return `${names.length} instance${names.length > 1 ? 's' : ''} ejected: ${names.join(', ')}`;
}
