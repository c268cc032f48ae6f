import { useEffect, useState } from 'react';

import { followChanges, type Step } from '../utils/changes';
import type { Kind } from '../utils/resources';

const MOST = 200;

function merged(before: readonly Step[], steps: readonly Step[]): Step[] {
  const all = new Map([...before, ...steps].map((each) => [each.id, each]));
  return [...all.values()].sort((a, b) => b.revision - a.revision).slice(0, MOST);
}

/** The newest changes of these kinds, newest first. `from`: the revision to begin at; 0 waits for one. */
export function useChanges(kinds: readonly Kind[], from: number): readonly Step[] {
  const [steps, setSteps] = useState<readonly Step[]>([]);
  const names = kinds.map((kind) => kind.plural).join();
  const begun = from > 0;
  useEffect(() => {
    if (!from) return undefined;
    const heard = (fresh: Step[]) => setSteps((before) => merged(before, fresh));
    const stops = kinds.map((kind) => followChanges({ kind, from, heard }));
    return () => stops.forEach((stop) => stop());
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the kinds are constants of the caller; their names say whether they changed
  }, [names, begun]);
  return steps;
}

/** The history of one resource, newest first. */
export function useHistory(kind: Kind, name: string, namespace: string): readonly Step[] {
  const [steps, setSteps] = useState<readonly Step[]>([]);
  useEffect(() => {
    setSteps([]);
    const heard = (fresh: Step[]) => setSteps((before) => merged(before, fresh));
    return followChanges({ kind, name, namespace: namespace || undefined, from: 1, heard });
  }, [kind, name, namespace]);
  return steps;
}
