/** Schedules: when they are due, how their calls went, and what is asked of their service. */
import { attempt } from './actions';
import { ask } from './api';
import { pathSpeaking } from './catalog';
import type { Health } from './health';
import type { Resource } from './resources';

/** `due`: by its expression; `at`: when it is called, within its window. RFC 3339. */
export interface Upcoming {
  due: string;
  at: string;
}

export interface Firing {
  id: string;
  due: string;
  attempts: number;
  fault: string;
  /** While it is still tried. */
  nextAttempt?: string;
  /** Once it is over. */
  endedAt?: string;
}

export interface Firings {
  underWay: Firing[];
  ended: Firing[];
}

function pathOf(schedule: Resource): string {
  const { name, namespace = 'default' } = schedule.metadata;
  return `${pathSpeaking('scheduler')}/schedules/${namespace}/${encodeURIComponent(name)}`;
}

export async function readUpcoming(schedule: Resource, signal?: AbortSignal): Promise<Upcoming[]> {
  return (await ask<{ times: Upcoming[] }>(`${pathOf(schedule)}/upcoming`, { signal })).times;
}

export function readFirings(schedule: Resource, signal?: AbortSignal): Promise<Firings> {
  return ask<Firings>(`${pathOf(schedule)}/firings`, { signal });
}

/** Whether it is being called now; a refusal has been told then. */
export function runNow(schedule: Resource): Promise<boolean> {
  return attempt(
    'Not called',
    () => ask(`${pathOf(schedule)}/run`, { method: 'POST' }),
    () => `${schedule.metadata.name} is called now`,
  );
}

/** How a call went, in words. Pure. */
export function firingTold({ fault, attempts, endedAt }: Firing): { health: Health; word: string; about: string } {
  const tries = attempts === 1 ? 'once' : `${attempts} times`;
  if (!endedAt) {
    if (!attempts) return { health: 'busy', word: 'Under way', about: 'not tried yet' };
    return { health: 'warn', word: 'Tried again', about: fault ? `tried ${tries}: ${fault}` : `tried ${tries}` };
  }
  if (fault) return { health: 'bad', word: 'Given up', about: `tried ${tries}: ${fault}` };
  return { health: 'well', word: 'Taken', about: attempts === 1 ? '' : `at the ${ordinal(attempts)} attempt` };
}

function ordinal(number: number): string {
  const rest = number % 100;
  const ending = rest > 10 && rest < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th');
  return `${number}${ending}`;
}

/** `Mon 30 Nov, 02:30` in that zone, the reader's own where none is named; a zone that the browser does not know is UTC. */
export function timeIn(moment: string, zone?: string): string {
  const told: Intl.DateTimeFormatOptions = {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  };
  try {
    return new Date(moment).toLocaleString([], { ...told, timeZone: zone });
  } catch {
    return new Date(moment).toLocaleString([], { ...told, timeZone: 'UTC' });
  }
}

/** `in 4 min`, `in 3 h`, `in 12 d`; empty for what has passed. */
export function inSpan(moment: string, now: number): string {
  const seconds = (Date.parse(moment) - now) / 1000;
  if (!(seconds > 0)) return '';
  if (seconds < 90) return `in ${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `in ${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `in ${Math.round(seconds / 3600)} h`;
  return `in ${Math.round(seconds / 86400)} d`;
}
