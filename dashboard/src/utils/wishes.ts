/** What a command asks the next screen to open. Kept for as long as it takes to get there. */
import { Observable } from './observable';
import { go } from './routes';

export type Wish = 'join' | 'drain' | 'delete' | 'update' | 'rollback' | 'new' | 'help';

export const wish = new Observable<Wish | null>(null);

export function goAndOpen(to: string, what: Wish): void {
  go(to);
  wish.set(what);
}
