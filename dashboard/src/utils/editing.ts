/** Checking and writing a manifest somebody edited. The server decides; here its answer gets a line and a diff. */
import { allOf } from './actions';
import { ask } from './api';
import { diffLines, hunks, type Line } from './diff';
import type { KindSchema } from './discovery';
import { ApiError, inWords } from './errors';
import { apiVersion, collection, place, type Kind, type Resource } from './resources';
import { faultsOf } from './schema';
import { fromYaml, lineOf, toYaml } from './yaml';

export interface Fault {
  what: string;
  next: string;
  causes: string[];
  lines: number[];
}

export type Checked = { fault: Fault } | { diff: Line[] };
export type Applied = { fault: Fault } | { written: Resource };

/** What writing it over `now` would do. Nothing is written. */
export async function check(kind: Kind, now: Resource, code: string, isNew: boolean): Promise<Checked> {
  const sent = await send(kind, now, code, isNew, true);
  if ('fault' in sent) return sent;
  const before = isNew ? '' : toYaml(now).trimEnd();
  return {
    diff: hunks(diffLines(before, toYaml(sent.written).trimEnd())).filter((line) => line.text || line.sign === ' '),
  };
}

export async function apply(kind: Kind, now: Resource, code: string, isNew: boolean): Promise<Applied> {
  const sent = await send(kind, now, code, isNew, false);
  if ('written' in sent) allOf(kind).learn(sent.written);
  return sent;
}

/** What the schema says of it already now, without asking anybody; null while nothing is wrong. */
export function hintsFor(code: string, found: KindSchema | null): Fault | null {
  const parsed = fromYaml(code);
  if ('line' in parsed)
    return { what: `Line ${parsed.line}: ${parsed.message}`, next: '', causes: [], lines: [parsed.line] };
  if (!found) return null;
  const { metadata: _metadata, status: _status, ...rest } = parsed.value as Resource & Record<string, unknown>;
  const { metadata: _meta, status: _told, ...properties } = found.schema.properties ?? {};
  const schema = {
    ...found.schema,
    properties: { ...properties, apiVersion: {}, kind: {} },
    required: found.schema.required,
  };
  const faults = faultsOf(rest, schema, found.all, '').map((each) => ({ ...each, field: each.field.slice(1) }));
  if (faults.length === 0) return null;
  const lines = faults.map((each) => lineOf(code, each.field));
  const causes = faults.map((each, index) => `Line ${lines[index]}: ${each.field} ${each.message}`);
  return {
    what: faults.length === 1 ? 'The schema has one objection' : `The schema has ${faults.length} objections`,
    next: '',
    causes,
    lines,
  };
}

async function send(kind: Kind, now: Resource, code: string, isNew: boolean, dry: boolean): Promise<Applied> {
  const parsed = fromYaml(code);
  if ('line' in parsed) {
    return { fault: { what: `Line ${parsed.line}: ${parsed.message}`, next: '', causes: [], lines: [parsed.line] } };
  }
  const { resourceVersion } = now.metadata;
  const metadata = { ...parsed.value.metadata, ...(isNew ? {} : { resourceVersion }) };
  const body = { apiVersion: apiVersion(kind), kind: kind.kind, ...parsed.value, metadata };
  const query = `fieldValidation=Strict${dry ? '&dryRun=All' : ''}`;
  const { name, namespace } = body.metadata;
  const path = isNew
    ? collection(kind, namespace ?? 'default')
    : place(kind, now.metadata.name, now.metadata.namespace);
  if (!isNew && name !== now.metadata.name) {
    return {
      fault: {
        what: 'A resource cannot be renamed',
        next: `Its name is ${now.metadata.name}; make a new one instead.`,
        causes: [],
        lines: [lineOf(code, 'metadata.name')],
      },
    };
  }
  try {
    return { written: await ask<Resource>(`${path}?${query}`, { method: isNew ? 'POST' : 'PUT', body }) };
  } catch (error) {
    return { fault: told(error, code) };
  }
}

function told(error: unknown, code: string): Fault {
  const { what, next } = inWords(error);
  const causes = error instanceof ApiError ? error.causes : [];
  const lines = causes.map((cause) => lineOf(code, cause.field));
  return {
    what,
    next,
    causes: causes.map((cause, index) => `Line ${lines[index]}: ${cause.field}: ${cause.message}`),
    lines,
  };
}
