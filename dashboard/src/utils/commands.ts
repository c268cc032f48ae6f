/** Everything the command palette can do, for what exists now and what this person may. Pure but for running them. */
import { restart, setCordoned, setEnabled } from './actions';
import { go, listPage, pageOf } from './routes';
import { SERVICES, WORKERS, type Kind, type Service, type Worker } from './resources';
import { logOut } from './session';

export interface Command {
  id: string;
  name: string;
  sort: string;
  run: () => void;
}

const PLACES: [string, string][] = [
  ['Home', '/ui'],
  ['Services', '/ui/services'],
  ['Workers', '/ui/workers'],
  ['Keys', '/ui/keys'],
  ['Buckets', '/ui/buckets'],
  ['All kinds', '/ui/kinds'],
  ['Users', '/ui/users'],
  ['Settings', '/ui/settings'],
];

export interface Known {
  services: readonly Service[];
  workers: readonly Worker[];
  kinds: readonly Kind[];
  mayServices: boolean;
  mayWorkers: boolean;
}

export function commandsFor({ services, workers, kinds, mayServices, mayWorkers }: Known): Command[] {
  const places = PLACES.map(([name, to]) => ({ id: to, name: `Go to ${name}`, sort: 'place', run: () => go(to) }));
  const lists = kinds.map((kind) => ({
    id: `list ${kind.group}/${kind.plural}`,
    name: `List ${kind.plural}`,
    sort: `${kind.kind} · ${kind.group || 'core'}`,
    run: () => go(listPage(kind)),
  }));
  const leaving = { id: 'out', name: 'Sign out', sort: 'session', run: () => void logOut() };
  return [
    ...places,
    ...services.flatMap((service) => ofService(service, mayServices)),
    ...workers.flatMap((worker) => ofWorker(worker, mayWorkers)),
    ...lists,
    leaving,
  ];
}

function ofService(service: Service, may: boolean): Command[] {
  const name = service.metadata.name;
  const id = `${service.metadata.namespace}/${name}`;
  const enabled = service.spec.enabled ?? true;
  const looks = [
    { id: `open ${id}`, name: `Open ${name}`, sort: 'service', run: () => go(pageOf(SERVICES, service)) },
    { id: `logs ${id}`, name: `Logs of ${name}`, sort: 'service', run: () => go(pageOf(SERVICES, service, 'logs')) },
  ];
  if (!may) return looks;
  const toggle = {
    id: `toggle ${id}`,
    name: `${enabled ? 'Disable' : 'Enable'} ${name}`,
    sort: 'action',
    run: () => void setEnabled(service, !enabled),
  };
  const again = { id: `restart ${id}`, name: `Restart ${name}`, sort: 'action', run: () => void restart(service) };
  return enabled ? [...looks, toggle, again] : [...looks, toggle];
}

function ofWorker(worker: Worker, may: boolean): Command[] {
  const name = worker.metadata.name;
  const cordoned = worker.spec.unschedulable ?? false;
  const open = {
    id: `open worker ${name}`,
    name: `Open worker ${name}`,
    sort: 'worker',
    run: () => go(pageOf(WORKERS, worker)),
  };
  const cordon = {
    id: `cordon ${name}`,
    name: `${cordoned ? 'Uncordon' : 'Cordon'} ${name}`,
    sort: 'action',
    run: () => void setCordoned(worker, !cordoned),
  };
  return may ? [open, cordon] : [open];
}

/** Those whose letters hold what was typed, the nearest first. */
export function ranked(commands: readonly Command[], typed: string): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return commands.filter((each) => each.sort !== 'action').slice();
  return commands
    .map((command) => ({ command, score: score(`${command.name} ${command.sort}`.toLowerCase(), words) }))
    .filter(({ score: points }) => points > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ command }) => command);
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
