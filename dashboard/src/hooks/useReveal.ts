import { useEffect, useState } from 'react';

import { Reveal, type Revealed, type SecretValue } from '../utils/reveal';
import { useObservable } from './useObservable';

type Read = (version: string, signal: AbortSignal) => Promise<SecretValue>;

/** A value that is shown for a while. Hidden with its component, and as soon as nobody can see this tab. */
export function useReveal(read: Read): { revealed: Revealed; show: (version: string) => void; hide: () => void } {
  const [reveal] = useState(() => new Reveal(read));
  useEffect(() => {
    const hide = () => reveal.hide();
    const look = () => document.hidden && hide();
    document.addEventListener('visibilitychange', look);
    // A page that the browser keeps for its back button must not keep the value.
    window.addEventListener('pagehide', hide);
    return () => {
      document.removeEventListener('visibilitychange', look);
      window.removeEventListener('pagehide', hide);
      hide();
    };
  }, [reveal]);
  return { revealed: useObservable(reveal), show: (version) => void reveal.show(version), hide: () => reveal.hide() };
}
