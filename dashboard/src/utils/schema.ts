/** Checks a manifest against the kind's own schema while it is typed. The server has the last word. Pure. */

export type Schema = Record<string, any>;
export type Schemas = Record<string, Schema>;

export interface SchemaFault {
  field: string;
  message: string;
}

const MOST = 20;

/** A schema with its reference followed; an optional value counts as what it may be besides null. */
export function resolved(schema: Schema, all: Schemas): Schema {
  const some = (schema.anyOf ?? schema.oneOf)?.filter((each: Schema) => each.type !== 'null');
  const chosen = some?.length === 1 ? { ...some[0], description: schema.description ?? some[0].description } : schema;
  const reference = chosen.$ref ?? chosen.allOf?.[0]?.$ref;
  const target = typeof reference === 'string' ? all[reference.replace('#/components/schemas/', '')] : undefined;
  return target ? { ...target, description: chosen.description ?? target.description } : chosen;
}

/** What is wrong, each with the field it is about. */
export function faultsOf(value: unknown, schema: Schema, all: Schemas, path: string): SchemaFault[] {
  return [...walked(value, resolved(schema, all), all, path)].slice(0, MOST);
}

function* walked(value: unknown, schema: Schema, all: Schemas, path: string): Generator<SchemaFault> {
  if (value === null || value === undefined) return;
  const wanted = schema.type as string | undefined;
  if (wanted && !is(value, wanted) && !schema['x-kubernetes-int-or-string']) {
    yield { field: path, message: `must be ${article(wanted)}, not ${shown(value)}` };
    return;
  }
  yield* limits(value, schema, path);
  if (Array.isArray(value)) {
    for (const [index, each] of value.entries())
      yield* walked(each, resolved(schema.items ?? {}, all), all, `${path}[${index}]`);
  } else if (typeof value === 'object') {
    yield* members(value as Record<string, unknown>, schema, all, path);
  }
}

function* members(value: Record<string, unknown>, schema: Schema, all: Schemas, path: string): Generator<SchemaFault> {
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) yield { field: `${path}.${name}`, message: 'is required' };
  }
  const known: Schemas = schema.properties ?? {};
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || !schema.properties;
  for (const [name, each] of Object.entries(value)) {
    const field = `${path}.${name}`;
    if (known[name]) yield* walked(each, resolved(known[name], all), all, field);
    else if (typeof schema.additionalProperties === 'object')
      yield* walked(each, resolved(schema.additionalProperties, all), all, field);
    else if (!open && schema.additionalProperties !== true) {
      const near = Object.keys(known).find((other) => alike(other, name));
      yield { field, message: near ? `is not known; did you mean ${near}?` : 'is not known' };
    }
  }
}

function* limits(value: unknown, schema: Schema, path: string): Generator<SchemaFault> {
  if (schema.enum && !schema.enum.includes(value))
    yield { field: path, message: `must be one of ${schema.enum.join(', ')}` };
  if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum)
      yield { field: path, message: `must be at least ${schema.minimum}` };
    if (schema.maximum !== undefined && value > schema.maximum)
      yield { field: path, message: `must be at most ${schema.maximum}` };
  }
  if (typeof value === 'string') {
    if (schema.maxLength !== undefined && value.length > schema.maxLength)
      yield { field: path, message: `may have ${schema.maxLength} characters` };
    if (schema.pattern && !matches(value, schema.pattern))
      yield { field: path, message: `must look like ${schema.pattern}` };
  }
}

/** Patterns are written for another engine: one we cannot read refuses nothing. */
function matches(value: string, pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    return true;
  }
}

function is(value: unknown, type: string): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === type;
}

function article(type: string): string {
  return (
    { integer: 'a whole number', number: 'a number', string: 'a text', boolean: 'true or false', array: 'a list' }[
      type
    ] ?? 'an object'
  );
}

function shown(value: unknown): string {
  const text = Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 38)}…` : text;
}

/** Same letters but for case, or one letter more, less or other. */
function alike(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a.toLowerCase(), b.toLowerCase()] : [b.toLowerCase(), a.toLowerCase()];
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at += 1;
  return short.slice(at + (short.length === long.length ? 1 : 0)) === long.slice(at + 1);
}
