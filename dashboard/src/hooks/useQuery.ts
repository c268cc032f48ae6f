import { useCallback } from 'react';

import { query, setQuery } from '../utils/routes';
import { useObservable } from './useObservable';

/** A part of what this screen shows, kept in its address: it outlives a reload, Back, and a link sent to somebody. */
export function useQuery(name: string): [string, (value: string) => void] {
  const value = new URLSearchParams(useObservable(query)).get(name) ?? '';
  const set = useCallback((now: string) => setQuery(name, now), [name]);
  return [value, set];
}

/** One of a few values; the first one is meant when the address names none of them. */
export function useQueryChoice<T extends string>(name: string, values: readonly T[]): [T, (value: T) => void] {
  const [value, set] = useQuery(name);
  const first = values[0]!;
  const choose = useCallback((now: T) => set(now === first ? '' : now), [set, first]);
  return [values.find((each) => each === value) ?? first, choose];
}
