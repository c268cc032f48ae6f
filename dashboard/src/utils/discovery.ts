/** Every kind this cloud serves, as discovery tells it, and its fields, as OpenAPI tells them. */
import { ask } from './api';
import { Observable } from './observable';
import { apiVersion, type Kind } from './resources';
import { resolved, type Schema, type Schemas } from './schema';

interface GroupList {
  groups: { name: string; versions: { version: string }[]; preferredVersion: { version: string } }[];
}

interface ResourceList {
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

export const kinds = new Observable<readonly Kind[]>([]);

/** Safe to repeat: a service that was added brings its kinds at the next login. */
export async function readKinds(): Promise<void> {
  const { groups } = await ask<GroupList>('/apis');
  const places = [
    { group: '', version: 'v1', path: '/api/v1' },
    ...groups.flatMap(({ name, versions, preferredVersion }) =>
      [preferredVersion, ...versions.filter((each) => each.version !== preferredVersion.version)].map(
        ({ version }) => ({ group: name, version, path: `/apis/${name}/${version}` }),
      ),
    ),
  ];
  const found = (await Promise.all(places.map(kindsAt))).flat();
  // A kind of several versions is shown once, in the one that its group prefers.
  const first = new Map<string, Kind>();
  for (const each of found) {
    const place = `${each.group}/${each.plural}`;
    if (!first.has(place)) first.set(place, each);
  }
  kinds.set([...first.values()].sort((a, b) => (a.plural < b.plural ? -1 : 1)));
}

async function kindsAt({ group, version, path }: { group: string; version: string; path: string }): Promise<Kind[]> {
  const { resources } = await ask<ResourceList>(path).catch(() => ({ resources: [] }));
  return resources
    .filter((each) => !each.name.includes('/') && each.verbs.includes('list'))
    .map((each) => ({
      group,
      version,
      plural: each.name,
      kind: each.kind,
      namespaced: each.namespaced,
      verbs: each.verbs,
    }));
}

export interface Field {
  path: string;
  type: string;
  required: boolean;
  description: string;
}

/** A kind's schema and those it refers to; null when the server publishes none. */
export interface KindSchema {
  schema: Schema;
  all: Schemas;
}

export function documentOf(kind: Kind): string {
  return kind.group ? `/openapi/v3/apis/${apiVersion(kind)}` : `/openapi/v3/api/${kind.version}`;
}

export async function schemaOf(kind: Kind): Promise<KindSchema | null> {
  const document = await ask<Schema>(documentOf(kind)).catch(() => null);
  const all: Schemas = document?.components?.schemas ?? {};
  const schema = Object.values(all).find((each) =>
    (each['x-kubernetes-group-version-kind'] ?? []).some(
      (names: Schema) => names.kind === kind.kind && names.group === kind.group,
    ),
  );
  return schema ? { schema, all } : null;
}

/** What a person writes of a kind: the fields of its spec, or, where it has none (Secret, ConfigMap, Role), its own. */
export function fieldsOf(found: KindSchema | null): Field[] {
  if (!found) return [];
  const { spec, ...rest } = found.schema.properties ?? {};
  if (spec) return walked(resolved(spec, found.all), found.all, 'spec', 0);
  const { apiVersion: _version, kind: _kind, metadata: _metadata, status: _status, ...own } = rest;
  return walked({ ...found.schema, properties: own }, found.all, '', 0);
}

function walked(schema: Schema, all: Record<string, Schema>, path: string, depth: number): Field[] {
  const required = new Set<string>(schema.required ?? []);
  return Object.entries((schema.properties ?? {}) as Record<string, Schema>).flatMap(([name, raw]) => {
    const field = resolved(raw, all);
    const here = {
      path: path ? `${path}.${name}` : name,
      type: typeOf(field),
      required: required.has(name),
      description: field.description ?? '',
    };
    return depth < 2 && field.properties ? [here, ...walked(field, all, here.path, depth + 1)] : [here];
  });
}

function typeOf(field: Schema): string {
  if (field.enum) return field.enum.map((each: unknown) => JSON.stringify(each)).join(' | ');
  if (field.type === 'array') return `list of ${field.items?.type ?? 'objects'}`;
  return field.type ?? 'any';
}

/** What people put into a kind without a spec, to be overwritten. */
const EXAMPLES: Record<string, object> = {
  Secret: { type: 'Opaque', stringData: { password: 'change-me' } },
  ConfigMap: { data: { 'settings.ini': 'key = value\n' } },
};

/** A first manifest of that kind for somebody to fill in. */
export function skeleton(kind: Kind, fields: readonly Field[]): Record<string, any> {
  const own: Record<string, any> = {};
  const spec: Record<string, any> = {};
  for (const { path, type, required } of fields) {
    const parts = path.split('.');
    const inSpec = parts[0] === 'spec';
    if (required && parts.length === (inSpec ? 2 : 1)) (inSpec ? spec : own)[parts.at(-1)!] = begun(type);
  }
  const metadata: Record<string, string> = { name: `my-${kind.kind.toLowerCase()}` };
  if (kind.namespaced) metadata.namespace = 'default';
  const hasSpec = fields.length === 0 || fields.some(({ path }) => path.startsWith('spec.'));
  const body = (kind.group === '' && EXAMPLES[kind.kind]) || (hasSpec ? { spec } : own);
  return { apiVersion: apiVersion(kind), kind: kind.kind, metadata, ...body };
}

function begun(type: string): unknown {
  const plain = { string: '', integer: 0, number: 0, boolean: false }[type];
  if (plain !== undefined) return plain;
  if (type.startsWith('list')) return [];
  return type.startsWith('"') ? JSON.parse(type.split(' | ')[0]!) : {};
}
