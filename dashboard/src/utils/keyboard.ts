/** Where the single keys lead from here. Pure. */
import { pageOf, read } from './routes';
import type { Kind } from './resources';

const TABS: Record<string, string> = { e: 'yaml', l: 'logs', x: 'terminal', o: '' };

/** The page that `key` opens of the resource whose page is `path`; null when there is none. */
export function tabPage(path: string, key: string): string | null {
  const tab = TABS[key];
  const route = read(path);
  if (tab === undefined || route.screen !== 'detail') return null;
  const service = route.group === 'aerekos.cloud' && route.plural === 'services';
  if ((tab === 'logs' || tab === 'terminal') && !service) return null;
  const kind: Kind = { ...route, kind: '', namespaced: Boolean(route.namespace) };
  return pageOf(kind, { metadata: { name: route.name, namespace: route.namespace } }, tab);
}
