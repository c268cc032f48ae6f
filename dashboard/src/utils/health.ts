/** How each thing is, in one of six words. Pure. */
import {
  conditionOf,
  isSame,
  SERVICES,
  WORKERS,
  type Kind,
  type Resource,
  type Service,
  type Worker,
} from './resources';

export type Health = 'well' | 'busy' | 'warn' | 'bad' | 'idle' | 'unknown';

const PHASES: Record<string, Health> = {
  Ready: 'well',
  Active: 'well',
  Enabled: 'well',
  Running: 'well',
  Available: 'well',
  Succeeded: 'well',
  Completed: 'well',
  Starting: 'busy',
  Updating: 'busy',
  Stopping: 'busy',
  Pending: 'busy',
  Creating: 'busy',
  Terminating: 'busy',
  Deleting: 'busy',
  Waiting: 'warn',
  Degraded: 'warn',
  Failing: 'warn',
  Paused: 'idle',
  CrashLoopBackOff: 'warn',
  PendingDeletion: 'warn',
  Cordoned: 'warn',
  Failed: 'bad',
  NotReady: 'bad',
  Lost: 'bad',
  Disabled: 'idle',
  ScaledToZero: 'idle',
  Expired: 'idle',
  Suspended: 'idle',
  Revoked: 'idle',
};

export function healthOfWord(word: string): Health {
  return PHASES[word] ?? 'unknown';
}

export function serviceHealth(service: Service): Health {
  if (service.metadata.deletionTimestamp) return 'busy';
  const phase = service.status?.phase ?? 'Pending';
  if (phase === 'Ready' && conditionOf(service, 'Degraded')?.status === 'True') return 'warn';
  return healthOfWord(phase);
}

/** Whether the next request wakes it: it sleeps, or is about to, as it was made to. */
export function isAsleep({ spec, status }: Service): boolean {
  const asleep = ['ScaledToZero', 'Stopping', 'Pending'].includes(status?.phase ?? 'Pending');
  return asleep && spec.activation === 'onDemand' && spec.enabled !== false;
}

/** The word for a service, which agrees with its sign: one that runs while something it needs is gone is no Ready one. */
export function serviceWord(service: Service): string {
  if (service.metadata.deletionTimestamp) return 'Deleting';
  const phase = service.status?.phase || 'Pending';
  return phase === 'Ready' && serviceHealth(service) === 'warn' ? 'Degraded' : phase;
}

/** What a worker's health is called, wherever it is told. */
const WORKER_WORDS: Record<Health, string> = {
  well: 'Ready',
  warn: 'Cordoned',
  bad: 'No heartbeat',
  unknown: 'Not seen yet',
  busy: 'Deleting',
  idle: 'Disabled',
};

export function workerWord(worker: Worker): string {
  return WORKER_WORDS[workerHealth(worker)];
}

export function workerHealth(worker: Worker): Health {
  if (worker.metadata.deletionTimestamp) return 'busy';
  if (conditionOf(worker, 'Ready')?.status !== 'True') return conditionOf(worker, 'Ready') ? 'bad' : 'unknown';
  return worker.spec?.unschedulable ? 'warn' : 'well';
}

/** The sign and the word of a resource, whatever its kind: the same on its page as in lists. */
export function stateOf(kind: Kind, resource: Resource): { health: Health; word: string } {
  if (isSame(kind, SERVICES)) {
    return { health: serviceHealth(resource as Service), word: serviceWord(resource as Service) };
  }
  if (isSame(kind, WORKERS)) return { health: workerHealth(resource as Worker), word: workerWord(resource as Worker) };
  return { health: healthOf(resource), word: phaseOf(resource) };
}

export function phaseOf(resource: Resource): string {
  const status = resource.status ?? {};
  if (resource.metadata.deletionTimestamp) return 'Deleting';
  const ready = conditionOf(resource, 'Ready');
  return (
    status.phase ?? status.keyState ?? (ready ? (ready.status === 'True' ? 'Ready' : ready.reason || 'NotReady') : '')
  );
}

export function healthOf(resource: Resource): Health {
  const word = phaseOf(resource).split(',')[0] ?? '';
  const known = healthOfWord(word);
  if (known !== 'unknown' || !word) return known;
  return conditionOf(resource, 'Ready')?.status === 'False' ? 'warn' : 'unknown';
}

/** A condition as a sentence. */
export function sentence(type: string, status: string, message = ''): string {
  const words: Record<string, [string, string]> = {
    Ready: ['It is ready', 'It is not ready'],
    Progressing: ['A change is under way', 'Nothing is being changed'],
    Placed: ['It has a place to run', 'No worker can take it'],
    Degraded: ['Something it needs is missing', 'Everything it needs is there'],
  };
  const [yes, no] = words[type] ?? [`${type}: yes`, `${type}: no`];
  const head = status === 'True' ? yes : status === 'False' ? no : `${type} is not known`;
  return message ? `${head}: ${message}` : head;
}
