/** Lines of logs, read as far as they can be: our services write one JSON object each line. Pure. */
import { plainText } from './plainText';
import { momentTold } from './time';

export type Level = 'error' | 'warning' | 'info' | 'debug';

export interface LogLine {
  number: number;
  raw: string;
  time: string;
  level: Level;
  text: string;
}

/** Told elsewhere on the screen, or only of use to machines; the search finds them still. */
const KNOWN = new Set(['service', 'traceparent', 'event', 'message', 'level', 'timestamp', 'time', 'ts', 'logger']);

/** A moment with its zone at the beginning of a line that is no JSON. */
const STAMP = /^\s*\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d))\]?\s*/;

/** Times are told in the zone of whoever looks, as everywhere on the page; `raw` keeps them as they were written. */
export function readLine(raw: string, number: number, now = Date.now()): LogLine {
  const fields = raw.startsWith('{') ? parsed(raw) : null;
  if (!fields) {
    const stamp = STAMP.exec(raw);
    const text = stamp ? raw.slice(stamp[0].length) : raw;
    return { number, raw, time: told(stamp?.[1] ?? '', now), level: guessed(raw), text };
  }
  const more = Object.entries(fields)
    .filter(([name]) => !KNOWN.has(name))
    .map(([name, value]) => `${name}=${plainText(value)}`);
  const moment = plainText(fields.timestamp ?? fields.time ?? fields.ts ?? '');
  const text = [plainText(fields.event ?? fields.message ?? ''), ...more].filter(Boolean).join('  ');
  return {
    number,
    raw,
    time: told(moment, now),
    level: levelOf(plainText(fields.level ?? 'info')),
    text,
  };
}

function told(moment: string, now: number): string {
  const at = Date.parse(moment.replace(',', '.'));
  return Number.isNaN(at) ? '' : momentTold(at, now);
}

function parsed(raw: string): Record<string, unknown> | null {
  try {
    return JSON.parse(raw) as Record<string, unknown>;
  } catch {
    return null;
  }
}

function levelOf(word: string): Level {
  const low = word.toLowerCase();
  if (/^(error|critical|fatal|exception)/.test(low)) return 'error';
  if (low.startsWith('warn')) return 'warning';
  return low === 'debug' ? 'debug' : 'info';
}

function guessed(raw: string): Level {
  if (/\b(ERROR|CRITICAL|Traceback|Exception)\b/.test(raw)) return 'error';
  return /\bWARN(ING)?\b/.test(raw) ? 'warning' : 'info';
}
