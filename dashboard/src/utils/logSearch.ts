/** What a service wrote, as far back as it is kept: searched where the lines are, or taken home as a file. */
import { raw } from './api';
import { readLine, type LogLine } from './logs';
import { saveAs } from './saving';

export interface LogPlace {
  namespace: string;
  service: string;
  /** Empty: all of them. */
  instance: string;
}

export interface Found {
  lines: readonly LogLine[];
  /** How many lines were looked at, and the time of the oldest one; null when no line says one. */
  searched: number;
  since: string | null;
  /** There may be more that match: only the newest were asked for. */
  cut: boolean;
}

const MOST_FOUND = 1000;
const MOST_LINES = 100_000;

function pathOf({ namespace, service, instance }: LogPlace, more: Record<string, string>): string {
  const query = new URLSearchParams({ ...more, ...(instance && { instance }) });
  return `/logs/${namespace}/${service}?${query}`;
}

/** Raises ApiError. */
export async function searchLog(place: LogPlace, wanted: string): Promise<Found> {
  const response = await raw(pathOf(place, { contains: wanted, tail: String(MOST_FOUND) }));
  const lines = (await response.text()).split('\n').filter(Boolean);
  return {
    lines: lines.map((line, at) => readLine(line, at + 1)),
    searched: Number(response.headers.get('x-aerekos-searched-lines') ?? 0),
    since: response.headers.get('x-aerekos-searched-since'),
    cut: lines.length === MOST_FOUND,
  };
}

/** Every line that can be had, as it was written. Raises ApiError. */
export async function downloadLog(place: LogPlace): Promise<void> {
  const text = await (await raw(pathOf(place, { tail: String(MOST_LINES) }))).text();
  saveAs(new Blob([text], { type: 'text/plain' }), `${place.instance || place.service}.log`);
}
