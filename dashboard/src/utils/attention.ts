/** What the conductor's report found, with the button that helps, and the one line that says how all is. Pure. */
import { inWords } from './errors';
import { serviceHealth, workerHealth, type Health } from './health';
import type { Finding, Told } from './report';
import { BUCKETS, conditionOf, NAMESPACES, type Kind, type Resource, type Service, type Worker } from './resources';
import { pageOf } from './routes';

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
  /** Undefined where no button helps: `why` says what does. */
  fix: Fix | undefined;
}

/** What the page holds of the objects that findings name. */
export interface Known {
  services: readonly Service[];
  workers: readonly Worker[];
  keys: readonly Resource[];
}

const HEALTH: Record<Finding['severity'], Health> = { critical: 'bad', warning: 'warn', info: 'idle' };

/** One for each finding, in the report's words and order. */
export function attention(findings: readonly Finding[], known: Known): Item[] {
  return findings.map((each) => ({
    id: [each.code, each.object.kind, each.object.namespace, each.object.name, each.message].join('/'),
    health: HEALTH[each.severity],
    what: each.message,
    why: each.fix,
    since: sinceOf(each, known),
    fix: fixFor(each, known),
  }));
}

function named<T extends Resource>(all: readonly T[], { object }: Finding): T | undefined {
  const { name, namespace } = object;
  return all.find((each) => each.metadata.name === name && (each.metadata.namespace ?? '') === namespace);
}

function sinceOf(finding: Finding, known: Known): string | undefined {
  const type = finding.code === 'ServiceDegraded' ? 'Degraded' : 'Ready';
  const its = named([...known.services, ...known.workers], finding);
  const isAboutIt = /^(ServiceDegraded|.*NotReady)$/.test(finding.code);
  return its && isAboutIt ? conditionOf(its, type)?.lastTransitionTime : undefined;
}

function fixFor(finding: Finding, known: Known): Fix | undefined {
  const { kind, namespace, name } = finding.object;
  switch (kind) {
    case 'Service':
      return fixForService(finding, known.services);
    case 'Worker':
      return fixForWorker(finding, known.workers);
    case 'Key': {
      const key = named(known.keys, finding);
      return key && { do: 'keepKey', key, label: 'Keep the key' };
    }
    case 'Bucket':
      return openIt(BUCKETS, namespace, name);
    case 'Namespace':
      return openIt(NAMESPACES, namespace, name);
  }
  return undefined;
}

function openIt(kind: Kind, namespace: string, name: string): Fix {
  return { do: 'goto', to: pageOf(kind, { metadata: { namespace, name } }), label: `Open ${name}` };
}

function fixForWorker(finding: Finding, workers: readonly Worker[]): Fix {
  const worker = named(workers, finding);
  if (!worker) return { do: 'goto', to: '/ui/workers', label: 'See them' };
  if (finding.code === 'WorkerCordoned') return { do: 'uncordon', worker, label: 'Uncordon' };
  return { do: 'look', kind: 'workers', resource: worker, tab: '', label: 'Troubleshoot' };
}

function fixForService(finding: Finding, services: readonly Service[]): Fix | undefined {
  const { name } = finding.object;
  if (finding.code === 'BuiltInServiceMissing') {
    return { do: 'create', managed: name.replace(/-/g, '_'), label: `Create ${name}` };
  }
  const service = named(services, finding);
  if (!service) return undefined;
  if (finding.code === 'BuiltInServiceDisabled') {
    const isOff = service.spec.enabled === false;
    if (isOff) return { do: 'enable', service, label: `Enable ${name}` };
    return { do: 'look', kind: 'services', resource: service, tab: '', label: `Open ${name}` };
  }
  const type = finding.code === 'ServiceDegraded' ? 'Degraded' : 'Ready';
  return byReason(service, conditionOf(service, type)?.reason ?? '', services);
}

function byReason(service: Service, reason: string, all: readonly Service[]): Fix {
  switch (reason) {
    case 'WaitingForDependencies':
    case 'DependencyMissing':
      return fixForDependency(service, all) ?? seeWhy(service);
    case 'NeedsContainerRuntime':
      return { do: 'disable', service, label: 'Disable it' };
    case 'UnknownManagedService':
    case 'EngineVersionMismatch':
      return { do: 'look', kind: 'services', resource: service, tab: 'yaml', label: 'Correct it' };
    case 'EngineMissing': // installed on the machine, by somebody who is root there
    case 'Unschedulable':
    case 'WaitingForFiles':
    case 'CreateContainerConfigError':
      return seeWhy(service);
  }
  return { do: 'restart', service, label: 'Restart' };
}

function seeWhy(service: Service): Fix {
  return { do: 'look', kind: 'services', resource: service, tab: '', label: 'See why' };
}

/** Undefined where it lacks none, or one that only its author can create. */
function fixForDependency(service: Service, all: readonly Service[]): Fix | undefined {
  const [missing] = service.status.missingDependencies ?? [];
  if (!missing) return undefined;
  const { name, managed } = missing;
  const { namespace } = service.metadata;
  if (missing.reason === 'NotFound') {
    // A managed service is created in the namespace `default`.
    const creatable = managed && (namespace ?? 'default') === 'default';
    return creatable ? { do: 'create', managed, label: `Create ${name}` } : undefined;
  }
  const needed = all.find((each) => each.metadata.name === name && each.metadata.namespace === namespace);
  if (!needed) return undefined;
  // One that is scaled to zero is enabled already: how many there should be is for somebody to say.
  if (missing.reason === 'Disabled' && needed.spec.enabled === false) {
    return { do: 'enable', service: needed, label: `Enable ${name}` };
  }
  return { do: 'look', kind: 'services', resource: needed, tab: '', label: `Open ${name}` };
}

export interface Verdict {
  health: Health;
  line: string;
  detail: string;
}

const VERDICTS = { Well: 'well', NeedsAttention: 'warn', NotWell: 'bad' } as const;

/** The answer to "is all well?", in the report's words. */
export function verdict({ report, error }: Told, services: readonly Service[], workers: readonly Worker[]): Verdict {
  if (!report) {
    const detail = error ? inWords(error).what : 'The report was not told yet';
    return { health: 'unknown', line: 'Not known whether all is well', detail };
  }
  const line = report.summary.charAt(0).toUpperCase() + report.summary.slice(1);
  return { health: VERDICTS[report.verdict], line, detail: counts(services, workers) };
}

function counts(services: readonly Service[], workers: readonly Worker[]): string {
  const of = (health: Health) => services.filter((each) => serviceHealth(each) === health).length;
  const desired = services.length - of('idle');
  if (desired === 0) return 'Enable a service to begin';
  const up = workers.filter((each) => workerHealth(each) !== 'bad' && workerHealth(each) !== 'unknown').length;
  const changing = of('busy') ? `${count(of('busy'), 'service')} changing · ` : '';
  return `${changing}${of('well')} of ${count(desired, 'service')} running on ${count(up, 'worker')}`;
}

/** How many need somebody, and the worst of them, for the badge beside "Home". */
export function badgeOf({ report }: Told): { count: number; health: Health } | undefined {
  const found = report?.findings.filter((each) => each.severity !== 'info') ?? [];
  return found.length ? { count: found.length, health: VERDICTS[report!.verdict] } : undefined;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
