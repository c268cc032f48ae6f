/**
 * What was changed, from the store's own history: a watch that starts at an old revision tells every version since.
 * Pure but for `followChanges`.
 */
import { openStream } from './sockets';
import { collection, keyOf, type Kind, type Resource } from './resources';
import { patience, rest } from './backoff';

export interface Step {
  id: string;
  kind: Kind;
  name: string;
  namespace: string;
  revision: number;
  verb: 'created' | 'changed' | 'deleted';
  /** What differs, one short text for each field. */
  what: string[];
  at: number;
  resource: Resource;
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
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 42 ? `${text.slice(0, 40)}…` : text;
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
  return what.length ? { ...base, verb: 'changed', what } : null;
}

/** When a version was written, as well as the object itself says; `fallback` for live ones. */
export function writtenAt(resource: Resource, type: string, fallback: number): number {
  if (type === 'ADDED') return Date.parse(resource.metadata.creationTimestamp ?? '') || fallback;
  const moments = ((resource.status?.conditions ?? []) as { lastTransitionTime?: string }[])
    .map((each) => Date.parse(each.lastTransitionTime ?? ''))
    .filter((each) => !Number.isNaN(each));
  return moments.length ? Math.max(...moments) : fallback;
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
  let revision = Math.max(1, from);
  const began = Date.now();
  const take = (lines: string[]) => {
    const steps: Step[] = [];
    for (const line of lines) {
      const { type, object } = JSON.parse(line) as { type: string; object: Resource };
      if (type === 'ERROR') continue;
      revision = Number(object.metadata.resourceVersion ?? revision);
      if (type === 'BOOKMARK') continue;
      const live = Date.now() - began > 3000;
      const step = stepOf(
        kind,
        type,
        versions.get(keyOf(object)),
        object,
        live ? Date.now() : writtenAt(object, type, began),
      );
      versions.set(keyOf(object), object);
      if (step) steps.push(step);
    }
    if (steps.length) heard(steps);
  };
  const field = name ? `&fieldSelector=metadata.name=${encodeURIComponent(name)}` : '';
  const run = async () => {
    for (let attempt = 0; !stopping.signal.aborted; attempt += 1) {
      const path = `${collection(kind, namespace)}?watch=true&allowWatchBookmarks=true&resourceVersion=${revision}${field}`;
      await new Promise<void>((resolve) => {
        openStream(path, {
          open: () => (attempt = 0),
          lines: take,
          closed: (error) => {
            const oldest = /\((\d+)\)/.exec(error?.code === 410 ? error.message : '');
            if (oldest) revision = Math.max(revision + 1, Number(oldest[1]));
            resolve();
          },
        }).then((stream) => stopping.signal.addEventListener('abort', stream.close), resolve);
      });
      await rest(patience(attempt), stopping.signal);
    }
  };
  void run();
  return () => stopping.abort();
}
