import { useEffect } from 'react';

import { traffic, followTraffic, type Flow } from '../utils/traffic';
import { useObservable } from './useObservable';

/** Who asks whom, as rates, live. */
export function useTraffic(): readonly Flow[] {
  useEffect(() => followTraffic(), []);
  return useObservable(traffic);
}
