/** Where one is: the path of the page. Everything but `/` lives under /ui, away from the API's own paths. */
import { Observable } from './observable';
import type { Kind, Resource } from './resources';

export type Route =
  | { screen: 'home' | 'workers' | 'services' | 'keys' | 'buckets' | 'kinds' | 'users' | 'settings' | 'audit' | 'api' }
  | { screen: 'list'; group: string; version: string; plural: string }
  | { screen: 'detail'; group: string; version: string; plural: string; namespace: string; name: string; tab: string }
  | { screen: 'nowhere'; path: string };

const PLAIN = ['workers', 'services', 'keys', 'buckets', 'kinds', 'users', 'settings', 'audit', 'api'] as const;
const KNOWN: Record<string, string> = { services: '', workers: '', keys: '', buckets: '', users: '' };
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

export const path = new Observable<string>(typeof window === 'undefined' ? '/' : window.location.pathname);

if (typeof window !== 'undefined') {
  window.addEventListener('popstate', () => path.set(window.location.pathname));
}

export function go(to: string): void {
  if (to === path.get()) return;
  window.history.pushState(null, '', to);
  path.set(to);
}
