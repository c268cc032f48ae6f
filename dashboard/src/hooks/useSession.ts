import { session, type Who } from '../utils/session';
import { useObservable } from './useObservable';

/** Who is logged in; null while nobody is. */
export function useWho(): Who | null {
  const now = useObservable(session);
  return now.state === 'in' ? now.who : null;
}
