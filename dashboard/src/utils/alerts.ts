/** Alerts: what fires, the rules that say so, what nobody is told of for a while, and who is told. */
import { attempt } from './actions';
import { ask } from './api';
import type { Health } from './health';
import { metricsPath } from './metrics';
import { ALERT_SILENCES, collection, place, type Resource } from './resources';

export interface FiringAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  fingerprint: string;
  status: { state: 'active' | 'suppressed'; silencedBy: string[]; inhibitedBy: string[] };
}

export interface Rule {
  name: string;
  group: string;
  state: 'firing' | 'pending' | 'inactive';
  query: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  lastError: string;
  health: string;
}

export const HOURS = [
  { value: '1', name: '1 hour' },
  { value: '4', name: '4 hours' },
  { value: '24', name: '1 day' },
  { value: '168', name: '1 week' },
] as const;
export type Hours = (typeof HOURS)[number]['value'];

/** Those that fire, the worst first, then the newest. Raises ApiError. */
export async function readFiring(signal?: AbortSignal): Promise<FiringAlert[]> {
  return worstFirst(await ask<FiringAlert[]>(`${metricsPath()}/api/v2/alerts`, { signal }));
}

/** Raises ApiError. */
export async function readRules(signal?: AbortSignal): Promise<Rule[]> {
  const { data } = await ask<{ data: { groups: { name: string; rules: Rule[] }[] } }>(
    `${metricsPath()}/api/v1/rules?exclude_alerts=true`,
    { signal },
  );
  return data.groups.flatMap(({ name, rules }) => rules.map((each) => ({ ...each, group: name })));
}

const RANK: Record<string, number> = { critical: 0, warning: 1, info: 2 };

export function worstFirst(alerts: readonly FiringAlert[]): FiringAlert[] {
  const rank = (each: FiringAlert) =>
    (each.status.state === 'active' ? 0 : 10) + (RANK[each.labels.severity ?? ''] ?? 3);
  return [...alerts].sort((a, b) => rank(a) - rank(b) || b.startsAt.localeCompare(a.startsAt));
}

export function severity(word = ''): { health: Health; word: string } {
  const health: Record<string, Health> = { critical: 'bad', warning: 'warn', info: 'busy' };
  return { health: health[word] ?? 'unknown', word: word || 'unknown' };
}

export function ruleState({ state, lastError }: Rule): { health: Health; word: string } {
  if (lastError) return { health: 'unknown', word: 'cannot be computed' };
  if (state === 'firing') return { health: 'bad', word: 'fires' };
  return state === 'pending' ? { health: 'warn', word: 'pending' } : { health: 'well', word: 'quiet' };
}

/** What it says of an alert that it has not given yet. */
export function ruleTold({ lastError, annotations, query }: Rule): string {
  if (lastError) return lastError;
  return annotations.summary?.replace(/\{\{ ?\$(?:labels\.)?(\w+) ?\}\}/g, '‹$1›') ?? query;
}

const SAID = new Set(['alertname', 'severity']);

/** Its labels but for those that are said beside it. */
export function particulars(alert: FiringAlert): string {
  const rest = Object.entries(alert.labels).filter(([name]) => !SAID.has(name));
  return rest.map(([name, value]) => `${name}=${value}`).join('  ');
}

const MOST_MATCHERS = 16;

/**
 * What silences an alert: all of its labels, or others would be silent with it. One without a namespace is the cloud's
 * own. Raises Error where not all can be matched.
 */
export function silenceOf(alert: FiringAlert, hours: number, now: number): object {
  const own = alert.labels.namespace;
  const labels = Object.entries(own ? alert.labels : { ...alert.labels, namespace: '' });
  const odd = labels.find(([name]) => !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name));
  if (odd) throw new Error(`its label ${odd[0]} cannot be matched, and without it others would be silent too`);
  if (labels.length > MOST_MATCHERS)
    throw new Error(`it has more labels than the ${MOST_MATCHERS} of a silence, and others would be silent too`);
  return {
    apiVersion: 'aerekos.cloud/v1',
    kind: 'AlertSilence',
    metadata: { generateName: 'silence-', namespace: own || 'default' },
    spec: {
      matchers: labels.map(([name, value]) => ({ name, value })),
      endsAt: new Date(now + hours * 3_600_000).toISOString(),
      comment: `${alert.labels.alertname ?? 'an alert'}, silenced in the dashboard`,
      ...(own ? {} : { scope: 'Cloud' }),
    },
  };
}

/** Whether it worked; the refusal has been told then. */
export function silence(alert: FiringAlert, hours: number): Promise<boolean> {
  return attempt(
    'Not silenced',
    () =>
      ask(collection(ALERT_SILENCES, alert.labels.namespace || 'default'), {
        method: 'POST',
        body: silenceOf(alert, hours, Date.now()),
      }),
    () => `Nobody is told of ${alert.labels.alertname} for ${hours === 1 ? 'an hour' : `${hours} hours`}`,
  );
}

/** Whether it worked; the refusal has been told then. */
export function endSilence({ metadata: { name, namespace } }: Resource): Promise<boolean> {
  return attempt(
    'Not ended',
    () => ask(place(ALERT_SILENCES, name, namespace), { method: 'DELETE' }),
    () => `The silence ${name} is over`,
  );
}

/** Whether it worked; the refusal has been told then. */
export function testChannel({ metadata: { name, namespace = 'default' } }: Resource): Promise<boolean> {
  return attempt(
    'Not told',
    () => ask(`${metricsPath()}/channels/${namespace}/${encodeURIComponent(name)}/test`, { method: 'POST' }),
    () => `${name} was told of a test`,
  );
}
