/** Everything the command palette can do, for what exists now and what this person may. Verbs are the CLI's. */
import { enableManaged, setCordoned } from './actions';
import { enableOrDisable, restartIt, scaleTo } from './careful';
import type { CatalogEntry } from './catalog';
import { leaveThen } from './leaving';
import { go, listPage, pageOf } from './routes';
import { MANAGED_SECRETS, SERVICES, WORKERS, type Kind, type Resource, type Service, type Worker } from './resources';
import { logOut } from './session';
import { goAndOpen, wish } from './wishes';

export interface Command {
  id: string;
  name: string;
  sort: string;
  /** Other words it is found by: what the CLI or kubectl call it. */
  also?: string;
  run: () => void;
}

export interface Powers {
  services: boolean;
  workers: boolean;
  exec: boolean;
  join: boolean;
  audit: boolean;
  /** The kinds of which this person may create one. */
  create: readonly Kind[];
}

export interface Known {
  services: readonly Service[];
  workers: readonly Worker[];
  kinds: readonly Kind[];
  catalog: readonly CatalogEntry[];
  /** Everything else that has a name people know, with its kind. */
  others: readonly { kind: Kind; resource: Resource }[];
  may: Powers;
}

const PLACES: [string, string, string][] = [
  ['Home', '/ui', 'status doctor events overview'],
  ['Services', '/ui/services', 'get services apply workloads'],
  ['Workers', '/ui/workers', 'get workers nodes machines servers hosts'],
  ['Keys', '/ui/keys', 'get keys kms encrypt encryption'],
  ['Buckets', '/ui/buckets', 'get buckets s3 upload download files objects storage'],
  ['Databases', '/ui/databases', 'get databases postgresql postgres psql sql rds restore backup'],
  ['Queues', '/ui/queues', 'get queues sqs messages dead letters redrive purge peek'],
  ['Topics', '/ui/topics', 'get topics sns publish subscriptions subscribe'],
  ['Schedules', '/ui/schedules', 'get schedules cron rate eventbridge scheduler timer jobs'],
  ['Webhooks', '/ui/webhookendpoints', 'get webhookendpoints hooks replay attempts deliveries'],
  ['Metrics', '/ui/metrics', 'promql prometheus graphs charts latency errors cpu memory cloudwatch top'],
  ['Alerts', '/ui/alerts', 'get alertrules alertchannels alertsilences firing silence alarms pager notifications'],
  ['Secrets', listPage(MANAGED_SECRETS), 'get managedsecrets secrets manager secretsmanager vault passwords rotation'],
  ['All kinds', '/ui/kinds', 'api-resources apply create resources'],
  ['API explorer', '/ui/api', 'explain openapi curl swagger'],
  ['Users', '/ui/users', 'get users roles people accounts permissions'],
  ['Access', '/ui/access', 'who-can can-i why denied refused forbidden permission policy simulator simulate iam'],
  ['Settings', '/ui/settings', 'env kubeconfig whoami passwd change password access keys aws cli profile'],
];

export function commandsFor(known: Known): Command[] {
  const { services, workers, kinds, catalog, others, may } = known;
  return [
    ...PLACES.map(([name, to, also]) => ({ id: to, name: `Go to ${name}`, sort: 'place', also, run: () => go(to) })),
    ...(may.audit ? [{ id: '/ui/audit', name: 'Go to Audit log', sort: 'place', run: () => go('/ui/audit') }] : []),
    ...(may.join ? [JOIN] : []),
    ...may.create.map(creating),
    ...services.flatMap((service) => ofService(service, may)),
    ...(may.services ? catalog.flatMap((entry) => ofCatalog(entry, services)) : []),
    ...workers.flatMap((worker) => ofWorker(worker, may.workers)),
    ...others.map(({ kind, resource }) => opening(kind, resource)),
    ...kinds.map((kind) => ({
      id: `list ${kind.group}/${kind.plural}`,
      name: `List ${kind.plural}`,
      sort: `${kind.kind} · ${kind.group || 'core'}`,
      also: `get ${kind.plural}`,
      run: () => go(listPage(kind)),
    })),
    {
      id: 'help',
      name: 'Keyboard shortcuts',
      sort: 'help',
      also: 'help keys shortcuts hotkeys ?',
      run: () => wish.set('help'),
    },
    { id: 'out', name: 'Sign out', sort: 'session', also: 'logout', run: () => leaveThen(() => void logOut(), 'tab') },
  ];
}

const JOIN: Command = {
  id: 'join',
  name: 'Join a machine',
  sort: 'action',
  also: 'token create worker add node new worker server',
  run: () => goAndOpen('/ui/workers', 'join'),
};

/** Other words people have for making one. */
const CREATING: Record<string, string> = {
  services: 'deploy run app program container site',
  buckets: 'storage folder upload s3 mb',
  keys: 'encrypt kms create-key',
  users: 'user create invite account person login',
  secrets: 'password credential',
  configmaps: 'settings file',
};

function creating(kind: Kind): Command {
  const also = `create add make ${CREATING[kind.plural] ?? ''}`;
  const run = () => goAndOpen(listPage(kind), 'new');
  return { id: `new ${kind.group}/${kind.plural}`, name: `New ${spaced(kind.kind)}`, sort: 'action', also, run };
}

/** `JoinToken` as people say it. */
function spaced(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();
}

function opening(kind: Kind, resource: Resource): Command {
  const { name, namespace = '' } = resource.metadata;
  const sort = spaced(kind.kind);
  // Keys that AWS tools made are called by UUIDs; people know them by their aliases.
  const aliases: string[] = resource.status?.aliases ?? [];
  return {
    id: `open ${kind.plural} ${namespace}/${name}`,
    name: `Open ${sort} ${aliases[0] ?? name}`,
    sort: namespace && namespace !== 'default' ? `${sort} · ${namespace}` : sort,
    also: ['describe get', name, ...aliases].join(' '),
    run: () => go(pageOf(kind, resource)),
  };
}

function ofService(service: Service, may: Powers): Command[] {
  const name = service.metadata.name;
  const id = `${service.metadata.namespace}/${name}`;
  const enabled = service.spec.enabled ?? true;
  const page = (tab = '') => pageOf(SERVICES, service, tab);
  const one = (verb: string, said: string, sort: string, run: () => void, also = ''): Command => ({
    id: `${verb} ${id}`,
    name: `${said} ${name}`,
    sort,
    also,
    run,
  });
  const looks = [
    one('open', 'Open', 'service', () => go(page()), 'describe get'),
    one('logs', 'Logs of', 'service', () => go(page('logs'))),
    one('yaml', 'YAML of', 'service', () => go(page('yaml')), 'edit apply'),
    one('history', 'History of', 'service', () => go(page('history')), 'rollout history'),
  ];
  const terminal = one('exec', 'Terminal in', 'service', () => go(page('terminal')), 'exec shell');
  const changes = [
    one('toggle', enabled ? 'Disable' : 'Enable', 'action', () => enableOrDisable(service, !enabled)),
    one('rollback', 'Roll back', 'action', () => goAndOpen(page(), 'rollback'), 'rollout undo'),
    one('delete', 'Delete', 'action', () => goAndOpen(page(), 'delete')),
    ...(service.spec.image ? [one('update', 'Update', 'action', () => goAndOpen(page(), 'update'), 'set image')] : []),
    ...(enabled ? [one('restart', 'Restart', 'action', () => restartIt(service), 'rollout restart')] : []),
  ];
  return [...looks, ...(may.exec ? [terminal] : []), ...(may.services ? changes : [])];
}

/** Those that are nowhere yet; the others are enabled by name. */
function ofCatalog(entry: CatalogEntry, services: readonly Service[]): Command[] {
  if (services.some((each) => each.spec.managed === entry.managed)) return [];
  const run = () => void enableManaged(entry.managed, undefined);
  return [{ id: `catalog ${entry.managed}`, name: `Enable ${entry.service}`, sort: 'action', also: entry.title, run }];
}

function ofWorker(worker: Worker, may: boolean): Command[] {
  const name = worker.metadata.name;
  const cordoned = worker.spec.unschedulable ?? false;
  const page = pageOf(WORKERS, worker);
  const open = { id: `open worker ${name}`, name: `Open worker ${name}`, sort: 'worker', run: () => go(page) };
  if (!may) return [open];
  const word = cordoned ? 'Uncordon' : 'Cordon';
  return [
    open,
    { id: `cordon ${name}`, name: `${word} ${name}`, sort: 'action', run: () => void setCordoned(worker, !cordoned) },
    { id: `drain ${name}`, name: `Drain ${name}`, sort: 'action', run: () => goAndOpen(page, 'drain') },
    {
      id: `remove ${name}`,
      name: `Remove worker ${name}`,
      sort: 'action',
      also: 'worker remove delete',
      run: () => goAndOpen(page, 'delete'),
    },
  ];
}

/** `scale web 3` is a command by itself: a number cannot be listed. */
export function scaling(typed: string, services: readonly Service[]): Command[] {
  const found = /^scale\s+(\S+)(?:\s+(?:to\s+)?(\d{1,4}))?$/i.exec(typed.trim());
  if (!found) return [];
  const [, wanted = '', number] = found;
  return services
    .filter((each) => each.metadata.name.includes(wanted.toLowerCase()))
    .map((service) => {
      const name = service.metadata.name;
      const copies = number === undefined ? null : Number(number);
      return {
        id: `scale ${service.metadata.namespace}/${name}`,
        name: copies === null ? `Scale ${name} to …` : `Scale ${name} to ${copies}`,
        sort: copies === null ? `runs ${service.spec.replicas ?? 1}; type a number` : 'action',
        run: () => (copies === null ? go(pageOf(SERVICES, service)) : scaleTo(service, copies)),
      };
    });
}

/** Those whose letters hold what was typed, the nearest first. */
export function ranked(commands: readonly Command[], typed: string): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return commands.filter((each) => each.sort !== 'action').slice();
  return commands
    .map((command) => ({ command, score: scoreOf(command, words) }))
    .filter(({ score: points }) => points > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ command }) => command);
}

/** Its name counts before the other words it is found by. */
function scoreOf({ name, sort, also = '' }: Command, words: readonly string[]): number {
  const points = score(`${name} ${sort}`.toLowerCase(), words) || score(`${name} ${also}`.toLowerCase(), words) / 2;
  // What only looks is offered first, what takes something away last.
  const weight = /^(Delete|Remove) /.test(name) ? 0.7 : sort === 'action' ? 0.85 : 1;
  return points * weight;
}

function score(text: string, words: readonly string[]): number {
  let points = 1;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    points += at === 0 ? 5 : text[at - 1] === ' ' ? 4 : text[at - 1] === '-' ? 3 : 1;
  }
  return points + 1 / text.length;
}
