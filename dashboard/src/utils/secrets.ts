/** Secrets of AWS Secrets Manager: what their resources say in words, and what is asked of their service. */
import { attempt } from './actions';
import { ask } from './api';
import { pathSpeaking } from './catalog';
import type { Health } from './health';
import { conditionOf, type Resource } from './resources';
import type { SecretValue } from './reveal';

export interface SecretVersion {
  versionId: string;
  number: number;
  stages: string[];
  createdAt: string;
  /** The day it was last read. */
  accessedOn?: string;
  /** What it is sealed with; empty while a rotation has not made its value yet. */
  key: string;
}

const DEFAULT_KEY = 'alias/aws/secretsmanager';
const ORDER = ['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS'];

/** What AWS calls it. */
export function labelOf(secret: Resource): string {
  return (secret.spec?.secretName as string | undefined) || secret.metadata.name;
}

/** Those with AWS's labels first, the others from the newest on. */
export function versionsOf(secret: Resource): SecretVersion[] {
  const all = ((secret.status?.versions ?? []) as Partial<SecretVersion>[]).map((each) => ({
    versionId: each.versionId ?? '',
    number: each.number ?? 0,
    stages: each.stages ?? [],
    createdAt: each.createdAt ?? '',
    accessedOn: each.accessedOn,
    key: each.key ?? '',
  }));
  return all.sort((a, b) => rank(a) - rank(b) || b.number - a.number);
}

function rank({ stages }: SecretVersion): number {
  const found = ORDER.findIndex((each) => stages.includes(each));
  return found < 0 ? ORDER.length : found;
}

/** The key that was named, as people name it: an alias, an id or an ARN. `sealed`: of a version, else of the secret. */
export function keyNameOf(secret: Resource, sealed = ''): string {
  if (sealed && sealed !== 'DefaultEncryptionKey') return sealed;
  return sealed ? DEFAULT_KEY : (secret.spec?.kmsKeyId as string | undefined) || DEFAULT_KEY;
}

/** The Key resource that is called so. */
export function keyNamed(name: string, namespace: string, keys: readonly Resource[]): Resource | undefined {
  return keys.find(
    ({ metadata, status = {} }) =>
      metadata.namespace === namespace &&
      ([status.arn, status.keyId, metadata.name].includes(name) ||
        ((status.aliases ?? []) as string[]).some((each) => name === each || name.endsWith(`:${each}`))),
  );
}

/** Reads are remembered by the day, in UTC. */
export function dayTold(day: string | undefined): string {
  return day ? new Date(day).toLocaleDateString([], { dateStyle: 'medium', timeZone: 'UTC' }) : 'never';
}

export interface RotationTold {
  health: Health;
  word: string;
  /** Who does it. */
  by: string;
  rules: string;
  /** What is under way, or why it failed. */
  about: string;
  /** Whether it may be begun by hand now. */
  startable: boolean;
}

interface Rules {
  target: string;
  afterDays?: number;
  schedule?: string;
  duration?: string;
  enabled?: boolean;
}

/** What rotates a secret, when, and how it goes; null for one that nothing rotates. */
export function rotationOf(secret: Resource): RotationTold | null {
  const rules = secret.spec?.rotation as Rules | undefined;
  if (!rules) return null;
  const live = !secret.spec?.deletionDate;
  const told = { by: rotatorTold(rules.target), rules: rulesTold(rules) };
  const startable = live && !secret.status?.rotation && Boolean(secret.status?.currentVersion);
  return { ...told, ...stateTold(secret, rules.enabled ?? true, live), startable };
}

function stateTold(secret: Resource, enabled: boolean, live: boolean): { health: Health; word: string; about: string } {
  const going = secret.status?.rotation as { step?: string; attempts?: number; message?: string } | undefined;
  if (!live) return { health: 'idle', word: 'Stopped', about: 'Nothing is rotated before it is restored.' };
  if (going?.message) {
    const { attempts = 1, message } = going;
    const tries = attempts === 1 ? 'once' : `${attempts} times`;
    return { health: 'warn', word: 'Failed', about: `${message} (failed ${tries}; it is tried again)` };
  }
  if (!enabled) return { health: 'idle', word: 'Cancelled', about: 'It rotates no more until somebody begins again.' };
  if (going) return { health: 'busy', word: 'Rotating', about: going.step ? `at ${going.step}` : '' };
  return { health: 'well', word: 'On', about: '' };
}

function rotatorTold(target: string): string {
  const name = target.slice(target.lastIndexOf(':') + 1);
  return target.startsWith('arn:') ? `built in: ${name}` : target;
}

function rulesTold({ afterDays, schedule, duration }: Rules): string {
  const window = duration ? `, begun within ${duration}` : '';
  if (schedule) return `${schedule}, UTC${window}`;
  if (!afterDays) return 'by hand alone';
  return `${afterDays === 1 ? 'every day' : `every ${afterDays} days`}${window}`;
}

export interface DeliveryTold {
  health: Health;
  word: string;
  /** The Kubernetes Secret. */
  secret: string;
  about: string;
}

/** Where the current value is delivered to; null for a secret that is delivered nowhere. */
export function deliveryOf(secret: Resource): DeliveryTold | null {
  const wanted = secret.spec?.delivery?.secret as string | undefined;
  if (!wanted) return null;
  const told = conditionOf(secret, 'Reconciled');
  if (told?.reason === 'DeliveryFailed')
    return { health: 'warn', word: 'Failed', secret: wanted, about: told.message ?? '' };
  if (secret.status?.deliveredTo !== wanted) return { health: 'busy', word: 'Waiting', secret: wanted, about: '' };
  const about = `Whoever may read Secrets in ${secret.metadata.namespace ?? 'default'} reads it there.`;
  return { health: 'well', word: 'Delivered', secret: wanted, about };
}

/** Why a value cannot be read from this page; empty where it can. `mine`: the namespace of whoever looks. */
export function whyUnreadable(secret: Resource, mine: string, may: boolean): string {
  const { namespace = 'default' } = secret.metadata;
  if (secret.spec?.deletionDate) return 'It is about to be deleted: values are read again once it is restored.';
  if (namespace !== mine)
    return `It belongs to the account of ${namespace}: values are read by identities of that one.`;
  return may ? '' : 'No role of yours lets you read values: that is the verb use on managedsecrets.';
}

/** The value of that version, once; the audit log tells of it. Raises ApiError. */
export async function readValue(secret: Resource, version: string, signal: AbortSignal): Promise<SecretValue> {
  const asked = { SecretId: secret.status?.arn || labelOf(secret), VersionId: version };
  const { SecretString: text, SecretBinary: binary } = await call<{ SecretString?: string; SecretBinary?: string }>(
    'GetSecretValue',
    asked,
    signal,
  );
  return { text, binary };
}

/** Whether it was begun; a refusal has been told then. */
export function rotateSecret(secret: Resource): Promise<boolean> {
  const name = labelOf(secret);
  return attempt(
    'Not rotated',
    () => call('RotateSecret', { SecretId: secret.status?.arn || name, ClientRequestToken: crypto.randomUUID() }),
    () => `${name} is being rotated`,
  );
}

function call<T>(operation: string, body: object, signal?: AbortSignal): Promise<T> {
  return ask<T>(`${pathSpeaking('secretsmanager')}/`, {
    method: 'POST',
    body,
    type: 'application/x-amz-json-1.1',
    headers: { 'x-amz-target': `secretsmanager.${operation}` },
    signal,
  });
}
