/** Services to begin with: `GET /templates`, one of them filled in by `POST /templates/{name}`, and what is made then. */
import { allOf } from './actions';
import { ask } from './api';
import { ApiError } from './errors';
import { collection, CONFIG_MAPS, SECRETS, SERVICES, type Kind, type Resource } from './resources';

export interface Parameter {
  name: string;
  title: string;
  description?: string;
  type: 'text' | 'integer' | 'password';
  default?: string | number;
  required: boolean;
  multiline?: boolean;
}

export interface Template {
  name: string;
  title: string;
  description: string;
  runsHere: boolean;
  /** What is missing here, in one sentence. */
  because: string;
  parameters: Parameter[];
}

/** Raises ApiError. */
export async function readTemplates(): Promise<Template[]> {
  return (await ask<{ templates: Template[] }>('/templates')).templates;
}

export type Values = Readonly<Record<string, string>>;

/** What is wrong, by the field's name: `name`, or a parameter's. Pure. */
export function faultsByField(error: unknown): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  return Object.fromEntries(error.causes.map(({ field, message }) => [field.replace(/^parameters\./, ''), message]));
}

const KINDS: Record<string, Kind> = { Service: SERVICES, ConfigMap: CONFIG_MAPS, Secret: SECRETS };

/** The service that was made, with all it needs. When a part is refused, nothing is left of the others. Raises ApiError. */
export async function makeFrom(template: string, name: string, namespace: string, values: Values): Promise<Resource> {
  const parameters = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
  const body = { name, namespace, parameters };
  const { items } = await ask<{ items: Resource[] }>(`/templates/${template}`, {
    method: 'POST',
    body,
    harmless: true,
  });
  return makeAll(items, namespace);
}

/** Makes all of them, in their order; the last service among them is what it is about. Raises ApiError. */
export async function makeAll(items: readonly Resource[], namespace: string): Promise<Resource> {
  const made: { kind: Kind; resource: Resource }[] = [];
  try {
    for (const item of items) {
      const kind = KINDS[item.kind ?? ''];
      if (!kind) throw new ApiError(0, 'Unknown', `a template made a ${item.kind}, which this page cannot make`);
      const path = `${collection(kind, namespace)}?fieldValidation=Strict`;
      made.push({ kind, resource: await ask<Resource>(path, { method: 'POST', body: item }) });
    }
  } catch (error) {
    await Promise.all(made.map(undo));
    throw error;
  }
  for (const { kind, resource } of made) allOf(kind).learn(resource);
  return made.findLast(({ kind }) => kind === SERVICES)?.resource ?? made.at(-1)!.resource;
}

async function undo({ kind, resource }: { kind: Kind; resource: Resource }): Promise<void> {
  const { name, namespace, uid } = resource.metadata;
  const path = `${collection(kind, namespace)}/${encodeURIComponent(name)}`;
  await ask(path, { method: 'DELETE', body: { preconditions: { uid } } }).catch(() => undefined);
}
