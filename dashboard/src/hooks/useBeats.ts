import { useEffect } from 'react';

import { beats, useBeatsOnce, type Beat } from '../utils/beats';
import { useObservable } from './useObservable';

/** The last heartbeat of every worker, live. */
export function useBeats(): ReadonlyMap<string, Beat> {
  useEffect(() => useBeatsOnce(), []);
  return useObservable(beats);
}
