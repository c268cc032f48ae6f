/** Where one is: the path of the page. Everything but `/` lives under /ui, away from the API's own paths. */
import { isHeld, leaveThen } from './leaving';
import { Observable } from './observable';
import type { Kind, Resource } from './resources';

export type Route =
  | {
      screen:
        | 'home'
        | 'workers'
        | 'services'
        | 'keys'
        | 'buckets'
        | 'databases'
        | 'queues'
        | 'topics'
        | 'schedules'
        | 'webhookendpoints'
        | 'metrics'
        | 'alerts'
        | 'kinds'
        | 'users'
        | 'settings'
        | 'access'
        | 'audit'
        | 'api';
    }
  | { screen: 'list'; group: string; version: string; plural: string }
  | { screen: 'detail'; group: string; version: string; plural: string; namespace: string; name: string; tab: string }
  | { screen: 'nowhere'; path: string };

const PLAIN = [
  'workers',
  'services',
  'keys',
  'buckets',
  'databases',
  'queues',
  'topics',
  'schedules',
  'webhookendpoints',
  'metrics',
  'alerts',
  'kinds',
  'users',
  'settings',
  'access',
  'audit',
  'api',
] as const;
const KNOWN: Record<string, string> = {
  services: '',
  workers: '',
  keys: '',
  buckets: '',
  databases: '',
  queues: '',
  topics: '',
  schedules: '',
  webhookendpoints: '',
  users: '',
};
const NO_GROUP = 'core';
const NO_NAMESPACE = '-';

export function read(path: string): Route {
  const [first, ...rest] = path
    .replace(/^\/ui\/?|^\//, '')
    .split('/')
    .filter(Boolean)
    .map(decodeURIComponent);
  if (!first) return { screen: 'home' };
  const plain = PLAIN.find((each) => each === first);
  if (plain && rest.length === 0) return { screen: plain };
  if (first in KNOWN && rest.length >= 2) {
    return detail(['aerekos.cloud', 'v1', first, ...rest]);
  }
  if (first === 'k' && rest.length === 3)
    return { screen: 'list', group: group(rest[0]), version: rest[1]!, plural: rest[2]! };
  if (first === 'k' && rest.length >= 5) return detail(rest);
  return { screen: 'nowhere', path };
}

function group(word = ''): string {
  return word === NO_GROUP ? '' : word;
}

function detail([where = '', version = '', plural = '', namespace = '', name = '', tab = '']: string[]): Route {
  return {
    screen: 'detail',
    group: group(where),
    version,
    plural,
    namespace: namespace === NO_NAMESPACE ? '' : namespace,
    name,
    tab,
  };
}

/** The page of one resource. */
export function pageOf(kind: Kind, resource: Pick<Resource, 'metadata'>, tab = ''): string {
  const { namespace, name } = resource.metadata;
  const where = `${namespace || NO_NAMESPACE}/${encodeURIComponent(name)}${tab ? `/${tab}` : ''}`;
  if (kind.group === 'aerekos.cloud' && kind.plural in KNOWN) return `/ui/${kind.plural}/${where}`;
  return `/ui/k/${kind.group || NO_GROUP}/${kind.version}/${kind.plural}/${where}`;
}

export function listPage(kind: Kind): string {
  if (kind.group === 'aerekos.cloud' && kind.plural in KNOWN) return `/ui/${kind.plural}`;
  return `/ui/k/${kind.group || NO_GROUP}/${kind.version}/${kind.plural}`;
}

const HERE = typeof window === 'undefined' ? { pathname: '/', search: '' } : window.location;
export const path = new Observable<string>(HERE.pathname);
/** What a screen was asked to show: its filters, search and sorting, as `?q=web&sort=-Name`. */
export const query = new Observable<string>(HERE.search);

function arrived(): void {
  query.set(window.location.search);
  path.set(window.location.pathname);
}

if (typeof window !== 'undefined') {
  window.addEventListener('popstate', () => {
    if (!isHeld() || window.location.pathname === path.get()) {
      arrived();
      return;
    }
    // The browser went already: it comes back, and goes once more after a yes.
    const wanted = window.location.pathname + window.location.search;
    window.history.pushState(null, '', path.get() + query.get());
    leaveThen(() => moved(wanted));
  });
}

function moved(to: string): void {
  window.history.pushState(null, '', to);
  arrived();
}

/** To another screen; asks first when something would be lost. */
export function go(to: string): void {
  if (to === path.get() + query.get()) return;
  leaveThen(() => moved(to));
}

/** Sets one parameter of this screen's address; the empty value takes it away. Back leads to the screen before. */
export function setQuery(name: string, value: string): void {
  const now = new URLSearchParams(query.get());
  if (value) now.set(name, value);
  else now.delete(name);
  const text = now.toString();
  window.history.replaceState(window.history.state, '', path.get() + (text ? `?${text}` : ''));
  query.set(text ? `?${text}` : '');
}
