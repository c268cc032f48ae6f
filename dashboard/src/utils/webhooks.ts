/** Webhook endpoints: what they were sent, how that went, and what is asked of their service. */
import { attempt } from './actions';
import { ask, raw } from './api';
import { pathKeeping } from './catalog';
import type { Health } from './health';
import type { Resource } from './resources';
import { readSecretKey, type SecretValue } from './reveal';

export type MessageState = 'Waiting' | 'Delivered' | 'Failed';

export interface Sent {
  id: string;
  type: string;
  bytes: number;
  takenAt: string;
  state: MessageState;
  attempts: number;
  fault: string;
  nextAttempt?: string;
  endedAt?: string;
}

export interface SentPage {
  messages: Sent[];
  counts: Record<MessageState, number>;
  before?: string;
}

export interface Attempt {
  message: string;
  at: string;
  milliseconds: number;
  fault: string;
  /** Absent where there was no answer. */
  status?: number;
}

function pathOf(endpoint: Resource): string {
  const { name, namespace = 'default' } = endpoint.metadata;
  return `${pathKeeping('webhookendpoints')}/endpoints/${namespace}/${encodeURIComponent(name)}`;
}

export function readSent(endpoint: Resource, state: MessageState | '', signal?: AbortSignal): Promise<SentPage> {
  return ask<SentPage>(`${pathOf(endpoint)}/messages?limit=50${state ? `&state=${state}` : ''}`, { signal });
}

export async function readAttempts(endpoint: Resource, id: string, signal?: AbortSignal): Promise<Attempt[]> {
  const query = id ? `id=${encodeURIComponent(id)}` : 'limit=50';
  return (await ask<{ attempts: Attempt[] }>(`${pathOf(endpoint)}/attempts?${query}`, { signal })).attempts;
}

/** What is sent under that id; the audit log tells of it. Raises ApiError. */
export async function readContent(endpoint: Resource, id: string, signal?: AbortSignal): Promise<string> {
  return (await raw(`${pathOf(endpoint)}/messages/${encodeURIComponent(id)}/content`, { signal })).text();
}

/** What signs now; the audit log tells of it. Raises ApiError. */
export function readSigningSecret(endpoint: Resource, signal?: AbortSignal): Promise<SecretValue> {
  return readSecretKey(endpoint.metadata.namespace, secretOf(endpoint), 'secret', signal);
}

export function secretOf(endpoint: Resource): string {
  return (endpoint.status?.secretName as string | undefined) || `${endpoint.metadata.name}-webhook`;
}

/** Whether it worked; a refusal has been told then. */
export function replay(endpoint: Resource, which: { ids: string[] } | { since: string }): Promise<boolean> {
  return attempt(
    'Not sent again',
    () => ask<{ messages: number }>(`${pathOf(endpoint)}/replay`, { method: 'POST', body: which }),
    ({ messages }) => (messages === 1 ? '1 message is sent again' : `${messages} messages are sent again`),
  );
}

export function enable(endpoint: Resource): Promise<boolean> {
  return attempt(
    'Not enabled',
    () => ask(`${pathOf(endpoint)}/enable`, { method: 'POST' }),
    () => 'What waits is sent now',
  );
}

const STATES: Record<MessageState, [Health, string]> = {
  Waiting: ['busy', 'Waiting'],
  Delivered: ['well', 'Delivered'],
  Failed: ['bad', 'Failed'],
};

export function sentState({ state, attempts }: Sent): { health: Health; word: string } {
  const [health, word] = STATES[state] ?? ['unknown', state];
  return state === 'Waiting' && attempts > 0 ? { health: 'warn', word: 'Tried again' } : { health, word };
}

/** `200 in 41 ms`, or why there was no answer. Pure. */
export function attemptTold({ status, milliseconds, fault }: Attempt): string {
  const took = `in ${Math.round(milliseconds)} ms`;
  if (!status) return `no answer ${took}${fault ? `: ${fault}` : ''}`;
  return `${status} ${took}${fault && !fault.includes(String(status)) ? `: ${fault}` : ''}`;
}

/** How an endpoint stands, and what to do about it. */
export function standing(endpoint: Resource): { health: Health; word: string; about: string } {
  const { spec = {}, status = {} } = endpoint;
  if (status.disabledAt) return { health: 'bad', word: 'Disabled', about: (status.disabledBecause ?? '') as string };
  if (spec.enabled === false) return { health: 'idle', word: 'Paused', about: 'Messages wait until it goes on.' };
  if (status.failingSince) return { health: 'warn', word: 'Failing', about: 'Nothing was taken since.' };
  return { health: 'well', word: 'On', about: '' };
}
