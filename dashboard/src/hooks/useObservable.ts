import { useSyncExternalStore } from 'react';

import type { Observable } from '../utils/observable';

/** The value now, and again whenever it changes. */
export function useObservable<T>(observable: Observable<T>): T {
  return useSyncExternalStore(observable.subscribe, observable.get);
}
