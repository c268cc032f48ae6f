/** Databases: what their resources say in words, and what is asked for them. */
import { conditionOf, type Resource } from './resources';
import { readSecretKey, type SecretValue } from './reveal';

const API = 'aerekos.cloud/v1';

export interface Member {
  name: string;
  role: 'primary' | 'replica' | 'unknown';
  ready: boolean;
  address: string;
  message: string;
  /** Whatever else its service says of it: how far it lags, once there are replicas. */
  [more: string]: unknown;
}

export function membersOf(database: Resource): Member[] {
  return (database.status?.members ?? []) as Member[];
}

const TOLD = new Set(['name', 'role', 'ready', 'address', 'message']);

/** What a member says beyond its role, by the names its status has. */
export function moreOf(member: Member): string {
  const more = Object.entries(member).filter(([name, value]) => !TOLD.has(name) && value !== '' && value !== null);
  return more.map(([name, value]) => `${name} ${String(value)}`).join(', ');
}

/** The moments that can be brought back, or why there are none. Moments are RFC 3339. */
export interface Window {
  from: string;
  to: string;
}

export function windowOf(database: Resource): Window | null {
  const { earliestRestorableTime: from, latestRestorableTime: to } = database.status?.backup ?? {};
  return from && to ? { from: from as string, to: to as string } : null;
}

/** Why a moment cannot be brought back; empty where it can, and for none, which is the latest there is. */
export function momentFault(text: string, window: Window): string {
  if (!text) return '';
  const then = Date.parse(text);
  if (Number.isNaN(then)) return 'Write it as 2026-01-31 12:00:00.';
  if (then < Date.parse(window.from)) return 'That is before the first moment that is kept.';
  return then > Date.parse(window.to) ? 'That is after the last moment that is kept.' : '';
}

/** A Database that begins with what another one held; without a moment, with the latest. What was chosen there is taken
 * along but for its address and what restores it. */
export function restored(source: Resource, name: string, from: { time?: string; backup?: string }): Resource {
  const { restore: _restore, exposure: _exposure, rds: _rds, version: _version, ...spec } = source.spec ?? {};
  const { name: before, namespace } = source.metadata;
  const restore = from.backup
    ? { backup: from.backup }
    : { database: before, ...(from.time && { time: new Date(from.time).toISOString() }) };
  return { apiVersion: API, kind: 'Database', metadata: { name, namespace }, spec: { ...spec, restore } };
}

export function newBackup(database: Resource, now: Date): Resource {
  const { name, namespace } = database.metadata;
  const stamp = now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  return {
    apiVersion: API,
    kind: 'DatabaseBackup',
    metadata: { name: `${name}-${stamp}`, namespace },
    spec: { database: name },
  };
}

export function newUser(database: Resource, name: string, privileges: string): Resource {
  const { name: of, namespace } = database.metadata;
  return { apiVersion: API, kind: 'DatabaseUser', metadata: { name, namespace }, spec: { database: of, privileges } };
}

/** What asks for another password of a DatabaseUser. */
export function rotation(now: Date): object {
  return { metadata: { annotations: { 'aerekos.cloud/rotate': now.toISOString() } } };
}

/** What becomes of it when it is deleted, in one sentence. */
export function endTold(database: Resource): string {
  const policy = database.spec?.backup as { final?: boolean } | undefined;
  if (!policy) return 'nothing of it is kept: it has no backups';
  if (policy.final === false) return 'no last backup is taken; those that are there stay';
  return 'a last backup is taken first, and stays';
}

/** Parameters by what became of them. */
export function parametersOf(database: Resource): { name: string; value: string; note: string }[] {
  const { spec = {}, status = {} } = database;
  const pending = (status.pendingRestart ?? []) as string[];
  const refused = (status.refusedParameters ?? {}) as Record<string, string>;
  const accepted = (status.acceptedParameters ?? {}) as Record<string, string>;
  return Object.entries((spec.parameters ?? {}) as Record<string, string>).map(([name, value]) => {
    if (name in refused) return { name, value, note: `not taken; ${accepted[name] ?? 'its own value'} counts` };
    return { name, value, note: pending.includes(name) ? 'counts after a restart' : '' };
  });
}

/** Whether it answers now, in words. */
export function readinessOf(database: Resource): { ready: boolean; about: string } {
  const told = conditionOf(database, 'Ready');
  return { ready: told?.status === 'True', about: told?.message ?? 'its service has not looked at it yet' };
}

/** What opens it, of that Secret: the URI, with the password in it. The audit log tells of it. Raises ApiError. */
export function readConnection(namespace: string, secret: string, signal?: AbortSignal): Promise<SecretValue> {
  return readSecretKey(namespace, secret, 'uri', signal);
}
