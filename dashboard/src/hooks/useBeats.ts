import { useEffect, useSyncExternalStore } from 'react';

import { beats, useBeatsOnce, type Beat } from '../utils/beats';
import { useObservable } from './useObservable';

/** The last heartbeat of every worker, live. Draws anew whenever any worker beats. */
export function useBeats(): ReadonlyMap<string, Beat> {
  useEffect(() => useBeatsOnce(), []);
  return useObservable(beats);
}

/** The last heartbeat of one worker, live. */
export function useBeat(worker: string): Beat | undefined {
  useEffect(() => useBeatsOnce(), []);
  return useSyncExternalStore(beats.subscribe, () => beats.get().get(worker));
}
