import { useEffect } from 'react';

import { tabPage } from '../utils/keyboard';
import { go } from '../utils/routes';

export const PLACES: Record<string, { to: string; name: string }> = {
  h: { to: '/ui', name: 'Home' },
  s: { to: '/ui/services', name: 'Services' },
  w: { to: '/ui/workers', name: 'Workers' },
  k: { to: '/ui/keys', name: 'Keys' },
  b: { to: '/ui/buckets', name: 'Buckets' },
  a: { to: '/ui/kinds', name: 'All kinds' },
  e: { to: '/ui/api', name: 'API explorer' },
  l: { to: '/ui/audit', name: 'Audit log' },
  u: { to: '/ui/users', name: 'Users' },
  m: { to: '/ui/access', name: 'Access: who may what' },
  ',': { to: '/ui/settings', name: 'Settings' },
};

const WAIT_MS = 1200;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** A terminal takes every key there is. */
function isTerminal(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('.xterm') !== null;
}

/** g + letter goes places, / finds, ? helps, e l x open a resource's faces, j k walk a list, Ctrl or Cmd + K commands. */
export function useKeyboard(open: (what: 'palette' | 'help') => void): void {
  useEffect(() => {
    let gAt = 0;
    const press = (event: KeyboardEvent) => {
      if (isTerminal(event.target)) return;
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        open('palette');
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      // What a dialog asks comes first.
      if (document.querySelector('dialog[open]')) return;
      const place = Date.now() - gAt < WAIT_MS ? PLACES[event.key] : undefined;
      gAt = event.key === 'g' ? Date.now() : 0;
      if (place) go(place.to);
      else if (event.key === '?') open('help');
      else if (event.key === '/') focusSearch(event, () => open('palette'));
      else if (event.key === 'j' || event.key === 'k') walk(event.key === 'j' ? 1 : -1);
      else openTab(event);
    };
    // Capturing: React Native's text fields keep their keys to themselves.
    window.addEventListener('keydown', press, true);
    return () => window.removeEventListener('keydown', press, true);
  }, [open]);
}

function focusSearch(event: KeyboardEvent, otherwise: () => void): void {
  event.preventDefault();
  const field = document.querySelector<HTMLInputElement>('[data-testid="search"]');
  if (field) field.focus();
  else otherwise();
}

const ROWS = '[role="row"], [role="listitem"]';

/** The rows that lead somewhere, and where each does. */
function rowLinks(): { row: Element; link: HTMLElement }[] {
  return [...document.querySelectorAll(ROWS)].flatMap((row) => {
    const link = row.querySelector<HTMLElement>('a[href]');
    return link ? [{ row, link }] : [];
  });
}

/** The next row of the list; the first one when none is chosen yet. */
function walk(step: number): void {
  const rows = rowLinks();
  const here = rows.findIndex(({ row }) => row.contains(document.activeElement));
  const start = step > 0 ? 0 : rows.length - 1;
  const next = rows[here < 0 ? start : Math.min(rows.length - 1, Math.max(0, here + step))]?.link;
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

/** Of the resource this page is about, or of the one whose row is chosen. */
function openTab(event: KeyboardEvent): void {
  const row = document.activeElement?.closest(ROWS)?.querySelector('a[href]')?.getAttribute('href');
  const to = tabPage(window.location.pathname, event.key) ?? (row ? tabPage(row, event.key) : null);
  if (!to) return;
  event.preventDefault();
  go(to);
}
