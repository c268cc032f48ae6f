/** What people can do. Each shows its result at once, and takes it back with the reason when the server refuses. */
import { ask, MERGE } from './api';
import { catalog, pathSpeaking } from './catalog';
import { inWords } from './errors';
import { mirrorOf, type Mirror } from './mirror';
import {
  collection,
  keyOf,
  KEYS,
  place,
  SERVICES,
  WORKERS,
  type Kind,
  type Resource,
  type Service,
  type Worker,
} from './resources';
import { say } from './toasts';

const ROTATE = { 'x-amz-target': 'TrentService.RotateKeyOnDemand' };
const RESTARTED_AT = 'aerekos.cloud/restartedAt';

export function allOf<T extends Resource>(kind: Kind): Mirror<T> {
  return mirrorOf<T>(collection(kind));
}

/** Does it, and says what came of it. Whether it worked; the refusal (`not`: what did not happen) has been told then. */
export async function attempt<T>(not: string, act: () => Promise<T>, done: (answer: T) => string): Promise<boolean> {
  try {
    say('well', done(await act()));
    return true;
  } catch (error) {
    const { what, next } = inWords(error);
    say('bad', `${not}: ${what}`, next);
    return false;
  }
}

interface Change<T extends Resource> {
  kind: Kind;
  resource: T;
  patch: object;
  done: string;
  shown: (real: T) => T;
}

/** Whether it worked; the refusal has been told then. */
async function change<T extends Resource>({ kind, resource, patch, done, shown }: Change<T>): Promise<boolean> {
  const mirror = allOf<T>(kind);
  const takeBack = mirror.pretend(keyOf(resource), (real) => (real ? shown(real) : null));
  try {
    const path = place(kind, resource.metadata.name, resource.metadata.namespace);
    mirror.learn(await ask<T>(path, { method: 'PATCH', body: patch, type: MERGE }));
    say('well', done);
    return true;
  } catch (error) {
    const { what, next } = inWords(error);
    say('bad', `Reverted: ${what}`, next);
    return false;
  } finally {
    takeBack();
  }
}

export function setEnabled(service: Service, enabled: boolean): Promise<boolean> {
  return change({
    kind: SERVICES,
    resource: service,
    patch: { spec: { enabled } },
    done: `${service.metadata.name} is being ${enabled ? 'enabled' : 'disabled'}`,
    shown: (real) => ({
      ...real,
      spec: { ...real.spec, enabled },
      status: { ...real.status, phase: enabled ? 'Starting' : 'Stopping' },
    }),
  });
}

export function scale(service: Service, replicas: number): Promise<boolean> {
  return change({
    kind: SERVICES,
    resource: service,
    patch: { spec: { replicas } },
    done: `${service.metadata.name} is scaled to ${replicas}`,
    shown: (real) => ({ ...real, spec: { ...real.spec, replicas } }),
  });
}

export function restart(service: Service): Promise<boolean> {
  return change({
    kind: SERVICES,
    resource: service,
    patch: { metadata: { annotations: { [RESTARTED_AT]: new Date().toISOString() } } },
    done: `${service.metadata.name} restarts, one instance after the other`,
    shown: (real) => ({ ...real, status: { ...real.status, phase: 'Updating' } }),
  });
}

export function setCordoned(worker: Worker, unschedulable: boolean): Promise<boolean> {
  const name = worker.metadata.name;
  return change({
    kind: WORKERS,
    resource: worker,
    patch: { spec: { unschedulable } },
    done: unschedulable ? `Nothing new is placed on ${name}` : `${name} takes work again`,
    shown: (real) => ({ ...real, spec: { ...real.spec, unschedulable } }),
  });
}

export function keepKey(key: Resource): Promise<boolean> {
  return change({
    kind: KEYS,
    resource: key,
    patch: { spec: { deletionDate: null } },
    done: `${key.metadata.name} is kept`,
    shown: (real) => real,
  });
}

export function setSpec(kind: Kind, resource: Resource, spec: object, done: string): Promise<boolean> {
  return change({
    kind,
    resource,
    patch: { spec },
    done,
    shown: (real) => ({ ...real, spec: { ...real.spec, ...spec } }),
  });
}

/** The same for a patch of the whole resource, labels and annotations too. */
export function setMeta(kind: Kind, resource: Resource, patch: object, done: string): Promise<boolean> {
  return change({ kind, resource, patch, done, shown: (real) => real });
}

/** New material for a key, now: what it sealed before stays readable. By the KMS API, as AWS tools ask for it. */
export function rotateKey(key: Resource): Promise<boolean> {
  const name = key.metadata.name;
  const body = { KeyId: key.status?.keyId ?? name };
  const asked = { method: 'POST', body, type: 'application/x-amz-json-1.1', headers: ROTATE };
  return attempt(
    'Not rotated',
    () => ask(`${pathSpeaking('kms')}/`, asked),
    () => `${name} has new material`,
  );
}

export async function remove(kind: Kind, resource: Resource): Promise<boolean> {
  const mirror = allOf(kind);
  const takeBack = mirror.pretend(keyOf(resource), (real) =>
    real ? { ...real, metadata: { ...real.metadata, deletionTimestamp: new Date().toISOString() } } : null,
  );
  try {
    await ask(place(kind, resource.metadata.name, resource.metadata.namespace), { method: 'DELETE' });
    say('well', `${resource.metadata.name} is being deleted`);
    return true;
  } catch (error) {
    const { what, next } = inWords(error);
    say('bad', `Not deleted: ${what}`, next);
    return false;
  } finally {
    setTimeout(takeBack, 1500);
  }
}

/** As `aerekos worker remove`: nothing new is placed there from now on, also if the deletion were refused. */
export async function removeWorker(worker: Worker): Promise<boolean> {
  return (worker.spec?.unschedulable || (await setCordoned(worker, true))) && remove(WORKERS, worker);
}

/** Raises ApiError: the form that asked shows it beside its fields. */
export async function create<T extends Resource>(kind: Kind, resource: T, done: string): Promise<T> {
  const path = `${collection(kind, resource.metadata.namespace ?? 'default')}?fieldValidation=Strict`;
  const made = await ask<T>(path, { method: 'POST', body: resource });
  allOf<T>(kind).learn(made);
  say('well', done);
  return made;
}

/** A Service for a managed service of the catalog; enables the one that is there already. */
export async function enableManaged(managed: string, existing: Service | undefined): Promise<boolean> {
  if (existing) return setEnabled(existing, true);
  const name = managed.replace(/_/g, '-');
  const metadata = { name, namespace: 'default' };
  const onDemand = catalog.get().some((each) => each.managed === managed && each.activation === 'onDemand');
  const spec = onDemand ? { managed, activation: 'onDemand' } : { managed };
  const body = { apiVersion: 'aerekos.cloud/v1', kind: 'Service', metadata, spec } as Service;
  try {
    await create(SERVICES, body, `${name} is being enabled`);
    return true;
  } catch (error) {
    const { what, next } = inWords(error);
    say('bad', `Not enabled: ${what}`, next);
    return false;
  }
}
