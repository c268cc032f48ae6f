/** Lines of logs, read as far as they can be: our services write one JSON object each line. Pure. */

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

export function readLine(raw: string, number: number): LogLine {
  const fields = raw.startsWith('{') ? parsed(raw) : null;
  if (!fields) return { number, raw, time: '', level: guessed(raw), text: raw };
  const more = Object.entries(fields)
    .filter(([name]) => !KNOWN.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const moment = String(fields.timestamp ?? fields.time ?? fields.ts ?? '');
  const text = [String(fields.event ?? fields.message ?? ''), ...more].filter(Boolean).join('  ');
  return {
    number,
    raw,
    time: /T(\d\d:\d\d:\d\d)/.exec(moment)?.[1] ?? '',
    level: levelOf(String(fields.level ?? 'info')),
    text,
  };
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
