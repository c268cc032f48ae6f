import { useEffect, useSyncExternalStore } from 'react';

import { beats, followBeats, type Beat } from '../utils/beats';
import { useObservable } from './useObservable';

/** The last heartbeat of every worker, live. Draws anew whenever any worker beats. */
export function useBeats(): ReadonlyMap<string, Beat> {
  useEffect(() => followBeats(), []);
  return useObservable(beats);
}

/** The last heartbeat of one worker, live. */
export function useBeat(worker: string): Beat | undefined {
  useEffect(() => followBeats(), []);
  return useSyncExternalStore(beats.subscribe, () => beats.get().get(worker));
}
