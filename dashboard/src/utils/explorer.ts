/** What can be asked of one kind, as paths. Pure. */
import { collection, place, type Kind } from './resources';

export interface Operation {
  verb: string;
  method: string;
  path: string;
  /** Reading changes nothing and may be tried at once. */
  reads: boolean;
}

export function operationsOf(kind: Kind, namespace: string, name: string): Operation[] {
  const verbs = new Set(kind.verbs ?? []);
  const all = collection(kind, namespace);
  const one = place(kind, name, namespace);
  const offers: [string, string, string][] = [
    ['list', 'GET', all],
    ['watch', 'GET', `${all}?watch=true`],
    ['get', 'GET', one],
    ['create', 'POST', all],
    ['update', 'PUT', one],
    ['patch', 'PATCH', one],
    ['delete', 'DELETE', one],
  ];
  return offers
    .filter(([verb]) => verbs.has(verb))
    .map(([verb, method, path]) => ({ verb, method, path, reads: verb === 'list' || verb === 'get' }));
}
