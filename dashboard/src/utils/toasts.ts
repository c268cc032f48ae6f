/** Short notices about what somebody just did. Refusals stay longer. */
import type { Health } from './health';
import { Observable } from './observable';

export interface Toast {
  id: number;
  health: Health;
  text: string;
  more: string;
}

export const toasts = new Observable<readonly Toast[]>([]);
let next = 1;
const SHOWN_MS = { good: 4500, bad: 12_000 };

export function say(health: Health, text: string, more = ''): void {
  const id = next++;
  toasts.set([...toasts.get().slice(-2), { id, health, text, more }]);
  setTimeout(() => dismiss(id), health === 'bad' ? SHOWN_MS.bad : SHOWN_MS.good);
}

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((each) => each.id !== id));
}
