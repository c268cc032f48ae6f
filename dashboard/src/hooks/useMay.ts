import { useEffect } from 'react';

import { answers, askWhether, questionOf, type Verb } from '../utils/permissions';
import type { Kind } from '../utils/resources';
import { useObservable } from './useObservable';
import { useWho } from './useSession';

/** Whether to offer it. No until the server has said yes; in the person's own namespace unless one is given. */
export function useMay(kind: Kind, verb: Verb = 'patch', namespace?: string): boolean {
  const who = useWho();
  const where = namespace ?? who?.namespace ?? 'default';
  useEffect(() => {
    if (who) void askWhether(kind, verb, where);
  }, [who, kind, verb, where]);
  return useObservable(answers).get(questionOf(kind, verb, where)) ?? false;
}
