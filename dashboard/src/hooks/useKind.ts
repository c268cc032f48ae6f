import { useMemo } from 'react';

import { kinds } from '../utils/discovery';
import {
  BUCKETS,
  EVENTS,
  JOIN_TOKENS,
  KEYS,
  MANAGED_SECRETS,
  NAMESPACES,
  SERVICES,
  USERS,
  WORKERS,
  type Kind,
} from '../utils/resources';
import { useObservable } from './useObservable';

const OWN = [SERVICES, WORKERS, KEYS, BUCKETS, MANAGED_SECRETS, USERS, JOIN_TOKENS, EVENTS, NAMESPACES];

/** The kind served at that place; before discovery has answered, a good guess. */
export function useKind(group: string, version: string, plural: string): Kind {
  const known = useObservable(kinds);
  return useMemo(() => {
    const is = (each: Kind) => each.group === group && each.version === version && each.plural === plural;
    const guess = {
      group,
      version,
      plural,
      kind: plural.replace(/s$/, '').replace(/^./, (first) => first.toUpperCase()),
      namespaced: true,
    };
    return OWN.find(is) ?? known.find(is) ?? guess;
  }, [known, group, version, plural]);
}
