/** Manifests as YAML. Loaded only when somebody looks at one: the library is large. */
import { parseDocument, stringify } from 'yaml';

import { masked, type Resource } from './resources';

const OWNED = new Set([
  'managedFields',
  'resourceVersion',
  'generation',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'selfLink',
]);

/**
 * Without what the server owns: two versions that differ in nothing a person wished read the same. `shown`: the
 * resource as it may be shown; a template of ours has nothing to hide.
 */
export function toYaml(resource: Resource, shown: Resource = masked(resource)): string {
  const { status: _status, metadata, ...rest } = shown as Resource & Record<string, unknown>;
  const meta = Object.fromEntries(Object.entries(metadata).filter(([name]) => !OWNED.has(name)));
  return stringify({ apiVersion: rest.apiVersion, kind: rest.kind, metadata: meta, ...rest }, { lineWidth: 0 });
}

export type Parsed = { value: Resource } | { line: number; message: string };

/** The manifest, or the first fault and its line. */
export function fromYaml(text: string): Parsed {
  const document = parseDocument(text);
  const fault = document.errors[0];
  if (fault) return { line: fault.linePos?.[0].line ?? 1, message: fault.message.split('\n')[0] ?? 'this is not YAML' };
  const value = document.toJS() as Resource | null;
  if (typeof value !== 'object' || value === null || !value.metadata?.name) {
    return { line: 1, message: 'a manifest needs at least kind and metadata.name' };
  }
  return { value };
}

/** The line (from 1) of a field such as `spec.replicas`; 1 when it is not written there. */
export function lineOf(text: string, field: string): number {
  // Members of lists are not told apart.
  const wanted = field.split(/[.[\]]+/).filter((part) => part && !/^\d+$/.test(part));
  for (let length = wanted.length; length > 0; length -= 1) {
    const line = findLine(text.split('\n'), wanted.slice(0, length));
    if (line) return line;
  }
  return 1;
}

function findLine(lines: string[], path: string[]): number {
  const open: { indent: number; name: string }[] = [];
  for (const [index, line] of lines.entries()) {
    const match = /^(\s*)(?:- )?([\w.-]+):/.exec(line);
    if (!match) continue;
    const indent = match[1]!.length;
    while (open.length && open[open.length - 1]!.indent >= indent) open.pop();
    open.push({ indent, name: match[2]! });
    if (open.map((each) => each.name).join('.') === path.join('.')) return index + 1;
  }
  return 0;
}
