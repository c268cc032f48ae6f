/** Numbers over time, asked of the metrics service by PromQL; what they are drawn as is computed here, purely. */
import { ask } from './api';
import { pathKeeping } from './catalog';
import { bytes } from './quantities';
import type { Resource } from './resources';

export interface Line {
  /** What tells it from the others of its graph; empty where it is alone. */
  name: string;
  /** Moments in ms since 1970, rising, and values. */
  points: readonly (readonly [number, number])[];
}

export type Unit = 'plain' | 'perSecond' | 'seconds' | 'cores' | 'bytes' | 'share';

export interface Graph {
  title: string;
  query: string;
  unit: Unit;
}

/** Something that changed: drawn as a line through the graphs. */
export interface Mark {
  at: number;
  what: string;
}

export const RANGES = [
  { value: '1h', name: '1 hour', seconds: 3_600 },
  { value: '6h', name: '6 hours', seconds: 21_600 },
  { value: '1d', name: '1 day', seconds: 86_400 },
  { value: '7d', name: '7 days', seconds: 604_800 },
] as const;
export type RangeName = (typeof RANGES)[number]['value'];

const STEPS = 180;
const SHORTEST_STEP = 10;
const SHORTEST_WINDOW = 120;

export function metricsPath(): string {
  return pathKeeping('scrapetargets');
}

/** How many seconds apart the points of a range are. */
export function stepOf(seconds: number): number {
  return Math.max(SHORTEST_STEP, Math.round(seconds / STEPS));
}

interface Matrix {
  data: { resultType: string; result: { metric: Record<string, string>; values: [number, string][] }[] };
}

/** Of the time that ends at `end` (ms). Raises ApiError. */
export async function readLines(query: string, seconds: number, end: number, signal?: AbortSignal): Promise<Line[]> {
  const asked = new URLSearchParams({
    query,
    start: String(end / 1000 - seconds),
    end: String(end / 1000),
    step: String(stepOf(seconds)),
  });
  const { data } = await ask<Matrix>(`${metricsPath()}/api/v1/query_range?${asked}`, { signal });
  const names = namesOf(data.result.map((each) => each.metric));
  return data.result.map(({ values }, index) => ({
    name: names[index]!,
    points: values.map(([at, value]) => [at * 1000, Number(value)] as const).filter(([, value]) => isFinite(value)),
  }));
}

/** Of each series the labels in which it differs from others. */
export function namesOf(series: readonly Record<string, string>[]): string[] {
  if (series.length < 2) return series.map((each) => each.__name__ ?? '');
  const all = [...new Set(series.flatMap((each) => Object.keys(each)))].sort();
  const telling = all.filter((label) => new Set(series.map((each) => each[label] ?? '')).size > 1);
  return series.map((each) =>
    telling
      .filter((label) => each[label])
      .map((label) => (telling.length === 1 ? each[label]! : `${label}=${each[label]}`))
      .join(' '),
  );
}

/**
 * What is asked first of a service: how much is asked of it, how much fails, how long it takes, what it uses. The
 * gateway counts by name what it carries to services of `default`: of others it knows nothing.
 */
export function goldenSignals(service: Resource, seconds: number): Graph[] {
  const { name, namespace = 'default' } = service.metadata;
  const own = `{namespace=${quoted(namespace)}, service=${quoted(name)}}`;
  return [
    ...(namespace === 'default' ? traffic(name, seconds) : []),
    { title: 'CPU', query: `sum by (instance) (aerekos_instance_cpu_cores${own})`, unit: 'cores' },
    { title: 'Memory', query: `sum by (instance) (aerekos_instance_memory_bytes${own})`, unit: 'bytes' },
  ];
}

function traffic(service: string, seconds: number): Graph[] {
  const asked = `{service=${quoted(service)}}[${windowOf(seconds)}s]`;
  const rate = (metric: string) => `sum(rate(aerekos_traffic_${metric}_total${asked}))`;
  return [
    { title: 'Requests', query: rate('requests'), unit: 'perSecond' },
    { title: 'Errors', query: rate('errors'), unit: 'perSecond' },
    { title: 'Latency', query: `${rate('seconds')} / (${rate('requests')} > 0)`, unit: 'seconds' },
  ];
}

/** Over how many seconds each point of a rate looks back: nothing falls between two of them. */
export function windowOf(seconds: number): number {
  return Math.max(SHORTEST_WINDOW, 2 * stepOf(seconds));
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A number with its unit, short. */
export function told(value: number, unit: Unit): string {
  if (unit === 'bytes') return bytes(value);
  if (unit === 'cores') return `${short(value)} cores`;
  if (unit === 'share') return `${short(value * 100)} %`;
  if (unit === 'perSecond') return `${short(value)}/s`;
  if (unit !== 'seconds') return short(value);
  return value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 10_000) return Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(value);
  return Number(value.toPrecision(3)).toLocaleString('en');
}

/** Round numbers from the least to the most that is drawn; zero is among them where all is above it. */
export function ticksOf(lines: readonly Line[], unit: Unit = 'plain', most = 4): number[] {
  const values = lines.flatMap((each) => each.points.map(([, value]) => value));
  const top = values.reduce((so, each) => Math.max(so, each), 0);
  const bottom = values.reduce((so, each) => Math.min(so, each), 0);
  const rough = (top - bottom || 1) / most;
  const scale = unit === 'bytes' ? 1024 ** Math.max(0, Math.floor(Math.log(rough) / Math.log(1024))) : 1;
  const power = scale * 10 ** Math.floor(Math.log10(rough / scale));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? rough;
  const first = Math.floor(bottom / step) * step;
  const count = Math.max(1, Math.ceil((top - first) / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => Number((first + index * step).toPrecision(12)));
}

/** A line in pieces: where points are missing for more than two steps there is none. */
export function pieces(points: Line['points'], stepMs: number): (readonly (readonly [number, number])[])[] {
  const found: (readonly [number, number])[][] = [];
  points.forEach((point, index) => {
    const before = points[index - 1];
    if (!before || point[0] - before[0] > stepMs * 2.5) found.push([]);
    found[found.length - 1]!.push(point);
  });
  return found;
}

/** What a graph says, for who does not see it. */
export function graphTold(title: string, lines: readonly Line[], unit: Unit): string {
  if (!lines.some((each) => each.points.length)) return `${title}: no values in this time`;
  const said = lines.slice(0, 5).map((each) => {
    const values = each.points.map(([, value]) => value);
    const last = values[values.length - 1];
    const most = values.reduce((so, value) => Math.max(so, value), -Infinity);
    return last === undefined ? '' : `${each.name} now ${told(last, unit)}, at most ${told(most, unit)}`.trim();
  });
  const others = lines.length > 5 ? `; and ${lines.length - 5} more` : '';
  return `${title}: ${said.filter(Boolean).join('; ')}${others}`;
}
