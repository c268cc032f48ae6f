import { useEffect } from 'react';

import { followReport, told, type Told } from '../utils/report';
import { useObservable } from './useObservable';

/** Whether the cloud is well, live. */
export function useReport(): Told {
  useEffect(() => followReport(), []);
  return useObservable(told);
}
