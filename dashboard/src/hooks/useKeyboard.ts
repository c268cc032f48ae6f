import { useEffect } from 'react';

import { go } from '../utils/routes';

export const PLACES: Record<string, { to: string; name: string }> = {
  h: { to: '/ui', name: 'Home' },
  s: { to: '/ui/services', name: 'Services' },
  w: { to: '/ui/workers', name: 'Workers' },
  k: { to: '/ui/keys', name: 'Keys' },
  b: { to: '/ui/buckets', name: 'Buckets' },
  a: { to: '/ui/kinds', name: 'All kinds' },
  u: { to: '/ui/users', name: 'Users' },
  ',': { to: '/ui/settings', name: 'Settings' },
};

const WAIT_MS = 1200;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** g + letter goes places, / finds, ? helps, Ctrl or Cmd + K commands. */
export function useKeyboard(open: (what: 'palette' | 'help') => void): void {
  useEffect(() => {
    let gAt = 0;
    const press = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        open('palette');
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      const place = Date.now() - gAt < WAIT_MS ? PLACES[event.key] : undefined;
      gAt = event.key === 'g' ? Date.now() : 0;
      if (place) go(place.to);
      else if (event.key === '?') open('help');
      else if (event.key === '/') focusSearch(event, () => open('palette'));
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
