/** What a person would lose, or stop, by leaving: edits of a page, uploads of a tab. */
import { askFirst } from './questions';

export interface Hold {
  title: string;
  what: string;
  /** `page`: going to another screen asks too. `tab`: only closing or reloading the tab, and signing out. */
  scope: 'page' | 'tab';
}

const holds = new Set<Hold>();

/** Holds until the returned function is called. */
export function hold(what: Hold): () => void {
  holds.add(what);
  return () => holds.delete(what);
}

/** Goes on at once when nothing is held, otherwise after a yes. */
export function leaveThen(goOn: () => void, scope: Hold['scope'] = 'page'): void {
  const held = [...holds].find((each) => each.scope === 'page' || scope === 'tab');
  if (!held) {
    goOn();
    return;
  }
  const onYes = () => {
    holds.delete(held);
    leaveThen(goOn, scope);
  };
  askFirst({ title: held.title, what: held.what, action: 'Leave', no: 'Stay', onYes });
}

/** Whether going to another screen would ask. */
export function isHeld(): boolean {
  return [...holds].some((each) => each.scope === 'page');
}

// The browser words the question itself.
if (typeof window !== 'undefined') {
  window.addEventListener('beforeunload', (event) => {
    if (holds.size) event.preventDefault();
  });
}
