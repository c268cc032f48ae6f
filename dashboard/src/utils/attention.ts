/** What needs a person, worst first, and the one line that says how all is. Pure. */
import { serviceHealth, workerHealth, type Health } from './health';
import { conditionOf, type Resource, type Service, type Worker } from './resources';

export type Fix =
  | { do: 'enable'; service: Service; label: string }
  | { do: 'disable'; service: Service; label: string }
  | { do: 'restart'; service: Service; label: string }
  | { do: 'create'; managed: string; label: string }
  | { do: 'uncordon'; worker: Worker; label: string }
  | { do: 'keepKey'; key: Resource; label: string }
  | { do: 'goto'; to: string; label: string }
  | { do: 'look'; kind: 'services' | 'workers'; resource: Resource; tab: string; label: string };

export interface Item {
  id: string;
  health: Health;
  what: string;
  why: string;
  since: string | undefined;
  fix: Fix;
}

const WEIGHT: Record<Health, number> = { bad: 0, warn: 1, unknown: 2, busy: 3, idle: 4, well: 5 };

export function attention(
  services: readonly Service[],
  workers: readonly Worker[],
  keys: readonly Resource[] = [],
): Item[] {
  const items = [
    ...silentOnes(workers),
    ...workers.flatMap(ofWorker),
    ...services.flatMap((service) => ofService(service, services)),
    ...keys.flatMap(ofKey),
  ];
  return items.sort((a, b) => WEIGHT[a.health] - WEIGHT[b.health] || (a.what < b.what ? -1 : 1));
}

/** Told one by one up to here: many silent at once have one cause, a cable or a power line. */
const ONE_BY_ONE = 3;

function isSilent(worker: Worker): boolean {
  return workerHealth(worker) === 'bad';
}

function silentOnes(workers: readonly Worker[]): Item[] {
  const silent = workers.filter(isSilent);
  if (silent.length <= ONE_BY_ONE) return silent.flatMap(ofSilent);
  const times = silent.map((each) => conditionOf(each, 'Ready')?.lastTransitionTime ?? '').filter(Boolean);
  const names = silent.map((each) => each.metadata.name);
  const more = names.length > 6 ? ` and ${names.length - 6} more` : '';
  return [
    {
      id: 'silent workers',
      health: 'bad',
      what: `${silent.length} of ${workers.length} workers have no heartbeat`,
      why: `${names.slice(0, 6).join(', ')}${more}. So many at once: look at their network or power first.`,
      since: times.sort()[0],
      fix: { do: 'goto', to: '/ui/workers', label: 'See them' },
    },
  ];
}

function ofSilent(worker: Worker): Item[] {
  const ready = conditionOf(worker, 'Ready');
  const name = worker.metadata.name;
  const fix: Fix = { do: 'look', kind: 'workers', resource: worker, tab: '', label: 'Troubleshoot' };
  const what = `Worker ${name}: no heartbeat`;
  return [
    { id: `worker/${name}`, health: 'bad', what, why: ready?.message ?? '', since: ready?.lastTransitionTime, fix },
  ];
}

function ofWorker(worker: Worker): Item[] {
  if (workerHealth(worker) !== 'warn') return [];
  const name = worker.metadata.name;
  const fix: Fix = { do: 'uncordon', worker, label: 'Uncordon' };
  const why = 'Nothing new is placed there until it is uncordoned.';
  return [{ id: `worker/${name}`, health: 'warn', what: `Worker ${name} is cordoned`, why, since: undefined, fix }];
}

function ofService(service: Service, all: readonly Service[]): Item[] {
  const health = serviceHealth(service);
  if (health !== 'bad' && health !== 'warn' && health !== 'unknown') return [];
  const degraded = conditionOf(service, 'Degraded');
  const ready = conditionOf(service, 'Ready');
  const told = service.status?.phase === 'Ready' ? degraded : ready;
  const item = {
    id: `service/${service.metadata.namespace}/${service.metadata.name}`,
    health,
    what: headline(service),
    why: told?.message ?? '',
    since: told?.lastTransitionTime,
    fix: fixFor(service, told?.reason ?? '', told?.message ?? '', all),
  };
  return [item];
}

function headline(service: Service): string {
  const name = service.metadata.name;
  switch (service.status?.phase) {
    case 'Waiting':
      return `${name} waits`;
    case 'Failed':
      return `${name} does not run`;
    case 'Degraded':
      return `${name} runs with fewer instances than desired`;
    case 'Ready':
      return `${name} runs, but misses something it needs`;
    default:
      return `${name} is ${(service.status?.phase ?? 'pending').toLowerCase()}`;
  }
}

function fixFor(service: Service, reason: string, message: string, all: readonly Service[]): Fix {
  const need = /([a-z0-9-]+) to be (enabled|created|Ready)/.exec(message);
  if (need) {
    const [, name = '', what] = need;
    const needed = all.find((each) => each.metadata.name === name);
    if (what === 'enabled' && needed) return { do: 'enable', service: needed, label: `Enable ${name}` };
    if (what === 'created') return { do: 'create', managed: name.replace(/-/g, '_'), label: `Create ${name}` };
    if (needed) return { do: 'look', kind: 'services', resource: needed, tab: '', label: `Open ${name}` };
  }
  if (reason === 'NeedsContainerRuntime') return { do: 'disable', service, label: 'Disable it' };
  if (reason === 'UnknownManagedService') {
    return { do: 'look', kind: 'services', resource: service, tab: 'yaml', label: 'Correct it' };
  }
  if (reason === 'Unplaceable') {
    return { do: 'look', kind: 'services', resource: service, tab: '', label: 'See why' };
  }
  return { do: 'restart', service, label: 'Restart' };
}

function ofKey(key: Resource): Item[] {
  if (key.status?.keyState !== 'PendingDeletion') return [];
  const date = String(key.status?.deletionDate ?? key.spec?.deletionDate ?? '').slice(0, 10);
  const why = `Everything it encrypted is lost for good${date ? ` on ${date}` : ' soon'}.`;
  const name = key.metadata.name;
  const fix: Fix = { do: 'keepKey', key, label: 'Keep the key' };
  return [{ id: `key/${name}`, health: 'warn', what: `Key ${name} will be deleted`, why, since: undefined, fix }];
}

export interface Verdict {
  health: Health;
  line: string;
  detail: string;
}

/** The answer to "is all well?" */
export function verdict(items: readonly Item[], services: readonly Service[], workers: readonly Worker[]): Verdict {
  const running = services.filter((each) => serviceHealth(each) === 'well').length;
  const wanted = services.filter((each) => serviceHealth(each) !== 'idle').length;
  const busy = services.filter((each) => serviceHealth(each) === 'busy').length;
  const up = workers.filter((each) => workerHealth(each) !== 'bad' && workerHealth(each) !== 'unknown').length;
  const counts = `${running} of ${count(wanted, 'service')} running on ${count(up, 'worker')}`;
  const worst = items[0]?.health;
  if (worst === 'bad' || worst === 'warn' || worst === 'unknown') {
    return {
      health: worst,
      line: items.length === 1 ? '1 issue needs attention' : `${items.length} issues need attention`,
      detail: counts,
    };
  }
  if (busy > 0)
    return { health: 'busy', line: 'Changes in progress', detail: `${count(busy, 'service')} changing · ${counts}` };
  if (wanted === 0) return { health: 'idle', line: 'Nothing runs yet', detail: 'Enable a service to begin' };
  return { health: 'well', line: 'All is well', detail: counts };
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
