/**
 * What was changed, from the store's own history: a watch that starts at an old revision tells every version since.
 * Pure but for `followChanges`.
 */
import { drawSoon } from './drawing';
import { plainText } from './plainText';
import { followStream } from './sockets';
import { collection, keyOf, type Kind, type Resource } from './resources';

export interface Step {
  id: string;
  kind: Kind;
  name: string;
  namespace: string;
  revision: number;
  verb: 'created' | 'changed' | 'deleted';
  /** What differs, one short text for each field. */
  what: string[];
  /** When the store wrote it, in ms since 1970. */
  at: number;
  /** As it was after this step; of a deleted one, as it was last. */
  resource: Resource;
  /** As it was before, where that is known. */
  before?: Resource;
}

const IGNORED = new Set(['resourceVersion', 'generation', 'managedFields', 'uid', 'creationTimestamp', 'finalizers']);

/** The differing fields of two specs, as `replicas 1 → 3`. */
export function differences(before: unknown, after: unknown, path = ''): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isPlain(before) && isPlain(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => !IGNORED.has(name));
    return names.flatMap((name) => differences(before[name], after[name], path ? `${path}.${name}` : name));
  }
  return [`${path} ${brief(before)} → ${brief(after)}`];
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function brief(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'nothing';
  if (Array.isArray(value)) return value.length ? clipped(value.map(named).join(', ')) : 'none';
  return clipped(plainText(value));
}

/** A member of a list by its name, where it has one. */
function named(member: unknown): string {
  if (!isPlain(member)) return plainText(member);
  const { name, value, ...rest } = member;
  if (name === undefined || Object.keys(rest).length) return plainText(name ?? member);
  return value === undefined ? plainText(name) : `${plainText(name)}=${plainText(value)}`;
}

function clipped(text: string): string {
  return text.length > 64 ? `${text.slice(0, 62)}…` : text;
}

/** The step from one version to the next; null when only the status moved. */
export function stepOf(
  kind: Kind,
  type: string,
  before: Resource | undefined,
  after: Resource,
  at: number,
): Step | null {
  const { name, namespace = '', resourceVersion = '0' } = after.metadata;
  const base = {
    id: `${kind.plural}/${resourceVersion}`,
    kind,
    name,
    namespace,
    revision: Number(resourceVersion),
    at,
    resource: after,
  };
  if (type === 'DELETED') return { ...base, verb: 'deleted', what: [] };
  if (type === 'ADDED') return { ...base, verb: 'created', what: [] };
  if (!before) return null;
  const wished = (each: Resource) => ({
    ...(each.spec ?? {}),
    annotations: each.metadata.annotations ?? {},
    labels: each.metadata.labels ?? {},
  });
  const what = differences(wished(before), wished(after));
  if (after.metadata.deletionTimestamp && !before.metadata.deletionTimestamp) what.push('deletion asked for');
  return what.length ? { ...base, verb: 'changed', what, before } : null;
}

export interface Following {
  kind: Kind;
  /** Only this resource. */
  name?: string;
  namespace?: string;
  from: number;
  heard: (steps: Step[]) => void;
}

/** Tells every step from `from` on, then the new ones, until the returned function is called. */
export function followChanges({ kind, name, namespace, from, heard }: Following): () => void {
  const stopping = new AbortController();
  const versions = new Map<string, Resource>();
  const field = name ? `&fieldSelector=metadata.name=${encodeURIComponent(name)}` : '';
  let revision = Math.max(1, from);
  let gathered: Step[] = [];
  const tell = () => {
    heard(gathered);
    gathered = [];
  };
  const take = (line: string) => {
    const { type, object, writtenAt } = JSON.parse(line) as { type: string; object: Resource; writtenAt?: string };
    if (type === 'ERROR') return;
    revision = Number(object.metadata.resourceVersion ?? revision);
    if (type === 'BOOKMARK') return;
    const step = stepOf(kind, type, versions.get(keyOf(object)), object, Date.parse(writtenAt ?? ''));
    versions.set(keyOf(object), object);
    if (step) gathered.push(step);
  };
  const hears = {
    lines: (lines: string[]) => {
      lines.forEach(take);
      if (gathered.length) drawSoon(tell, stopping.signal); // many at once become one repaint
    },
    closed: (error?: { code: number; message: string }) => {
      const oldest = /\((\d+)\)/.exec(error?.code === 410 ? error.message : '');
      if (oldest) revision = Math.max(revision + 1, Number(oldest[1]));
    },
  };
  const path = () =>
    `${collection(kind, namespace)}?watch=true&allowWatchBookmarks=true&writtenAt=true&resourceVersion=${revision}${field}`;
  void followStream(path, hears, stopping.signal);
  return () => stopping.abort();
}
