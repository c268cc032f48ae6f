/** Taking one change back, and nothing that came after it. */
import { allOf, create, remove, setMeta } from './actions';
import type { Step } from './changes';
import { inWords } from './errors';
import { isSame, keyOf, SERVICES, type Resource } from './resources';
import { say } from './toasts';

type Plain = Record<string, any>;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A merge patch that makes `now` into `then`: what came since is taken away. */
export function restored(now: any, then: any): Plain {
  const patch: Plain = {};
  for (const name of new Set([...Object.keys(now ?? {}), ...Object.keys(then ?? {})])) {
    const [a, b] = [now?.[name], then?.[name]];
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    patch[name] = b === undefined ? null : isPlain(a) && isPlain(b) ? restored(a, b) : b;
  }
  return patch;
}

/** Whether every field `patch` would change still is as `then` had it. */
export function untouched(now: any, then: any, patch: Plain): boolean {
  return Object.keys(patch).every((name) =>
    isPlain(patch[name]) && isPlain(then?.[name])
      ? untouched(now?.[name], then[name], patch[name])
      : JSON.stringify(now?.[name]) === JSON.stringify(then?.[name]),
  );
}

/** A deleted key or bucket does not come back with its name; a machine is not made here. */
export function isUndoable(step: Step): boolean {
  if (step.resource.metadata.deletionTimestamp && step.verb === 'changed') return false;
  return step.verb === 'changed' ? step.before !== undefined : isSame(step.kind, SERVICES);
}

function wished(resource: Resource): Plain {
  const { annotations = {}, labels = {} } = resource.metadata;
  return { spec: resource.spec ?? {}, metadata: { annotations, labels } };
}

/** Whether it worked; otherwise it has been said why not. */
export async function undo(step: Step): Promise<boolean> {
  const { kind, resource, before } = step;
  if (step.verb === 'created') return remove(kind, resource);
  if (step.verb === 'deleted') return madeAgain(step);
  const now = allOf(kind)
    .view.get()
    .items.find((each) => keyOf(each) === keyOf(resource));
  const patch = restored(wished(resource), wished(before!));
  if (!now || !untouched(wished(now), wished(resource), patch)) {
    const why = now ? `${step.name} was changed again there since` : `${step.name} is gone`;
    say('bad', `Not undone: ${why}`, 'Its History shows every version, and leads back to each.');
    return false;
  }
  return setMeta(kind, now, patch, `${step.name}: the change is undone`);
}

async function madeAgain({ kind, resource, name }: Step): Promise<boolean> {
  const { namespace, labels, annotations } = resource.metadata;
  const { status: _status, ...rest } = resource;
  try {
    await create(kind, { ...rest, metadata: { name, namespace, labels, annotations } }, `${name} is made again`);
    return true;
  } catch (error) {
    say('bad', `Not undone: ${inWords(error).what}`, inWords(error).next);
    return false;
  }
}
