/** What changes by itself is drawn together, and not faster than the machine can bear. */
import { paced } from './paced';

/** Nobody reads faster, and every drawing costs. */
const GATHER_MS = 100;
const UNSEEN_MS = 1000;
const waiting = new Map<() => void, AbortSignal | undefined>();

// As long as a drawing took, the page rests: on a machine for which it is much, people can still type and press.
const drawing = paced(async () => {
  const shows = [...waiting];
  waiting.clear();
  for (const [show, signal] of shows) if (!signal?.aborted) show();
  await drawn();
}, GATHER_MS);

/** Calls `show` soon, once, together with all others that wait; not any more once `signal` is aborted. */
export function drawSoon(show: () => void, signal?: AbortSignal): void {
  waiting.set(show, signal);
  drawing.ask();
}

/** When what was just set is on the screen; or after a while, for a page that nobody sees draws nothing. */
function drawn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, UNSEEN_MS);
    requestAnimationFrame(() => setTimeout(resolve));
  });
}
