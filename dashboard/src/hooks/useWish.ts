import { useEffect } from 'react';

import { wish, type Wish } from '../utils/wishes';
import { useObservable } from './useObservable';

/** Does what a command asked for, once the screen that can is there. `able` waits for rights to be known. */
export function useWish(what: Wish, grant: () => void, able = true): void {
  const asked = useObservable(wish);
  useEffect(() => {
    if (asked !== what || !able) return;
    wish.set(null);
    grant();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the newest `grant` is as good as the first
  }, [asked, what, able]);
}
