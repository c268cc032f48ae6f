import { ask } from '../utils/api';
import { isRefusal, type ApiError } from '../utils/errors';
import type { LoopHealth } from '../utils/loopHealth';
import { useAsked } from './useAsked';

const EVERY_MS = 3000;

export interface LoopTold {
  /** null: not told yet. What was told last stays while nobody answers. */
  loop: LoopHealth | null;
  error: ApiError | null;
}

/** The control loop as it is, asked again every few seconds while it is shown: counters have no watch. */
export function useLoopHealth(): LoopTold {
  const { value, error } = useAsked('loop', (signal) => ask<LoopHealth>('/health/loop', { signal }), EVERY_MS);
  return isRefusal(error) ? { loop: null, error } : { loop: value, error: null };
}
