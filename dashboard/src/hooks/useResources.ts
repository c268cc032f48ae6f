import { useEffect } from 'react';

import { allOf } from '../utils/actions';
import type { View } from '../utils/mirror';
import type { Kind, Resource } from '../utils/resources';
import { useObservable } from './useObservable';

/** All resources of a kind, live, for as long as somebody looks. */
export function useResources<T extends Resource = Resource>(kind: Kind): View<T> {
  const mirror = allOf<T>(kind);
  useEffect(() => mirror.use(), [mirror]);
  return useObservable(mirror.view);
}
