import { useEffect, useReducer, useRef, useState, type RefObject } from 'react';

import { GONE_MS, placed, type Placed } from '../utils/calm';

/** For how long after a press the next one may be meant for the same place. */
const PRESS_MS = 2000;

/**
 * The rows in an order that does not move under the pointer, a finger, or the keyboard's focus: `frame` is where those
 * are. `question`: what somebody asked to see (search, filter, sorting); another one is answered at once.
 */
export function useCalmRows<T>(
  rows: readonly T[],
  keyOf: (row: T) => string,
  question: string,
): { shown: readonly Placed<T>[]; frame: RefObject<HTMLElement | null> } {
  const frame = useRef<HTMLElement>(null);
  const held = useHeld(frame);
  const last = useRef<{ question: string; placed: readonly Placed<T>[] }>({ question, placed: [] });
  const [, drawAgain] = useReducer((drawings: number) => drawings + 1, 0);
  const before = last.current.question === question ? last.current.placed : [];
  const shown = placed(before, rows, keyOf, held, Date.now());
  const waits = shown.some((each) => each.goneAt > 0);
  useEffect(() => {
    last.current = { question, placed: shown };
  });
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setInterval(drawAgain, GONE_MS / 2);
    return () => clearInterval(timer);
  }, [waits]);
  return { shown, frame };
}

/** Whether somebody points into that element, has just touched it, or walks through it by keyboard. */
function useHeld(frame: RefObject<HTMLElement | null>): boolean {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const is = { pointed: false, walked: false, pressed: false };
    let pressing: ReturnType<typeof setTimeout> | undefined;
    const tell = (change: Partial<typeof is>) => {
      Object.assign(is, change);
      setHeld(is.pointed || is.walked || is.pressed);
    };
    const listening = new AbortController();
    const on = (type: string, heard: (event: Event) => void) =>
      element.addEventListener(type, heard, { signal: listening.signal });
    on('pointerenter', (event) => (event as PointerEvent).pointerType === 'mouse' && tell({ pointed: true }));
    on('pointerleave', () => tell({ pointed: false }));
    // After a click the focus stays where nobody looks any more.
    on('focusin', (event) => tell({ walked: (event.target as HTMLElement).matches(':focus-visible') }));
    on('focusout', () => tell({ walked: false }));
    on('pointerdown', () => {
      tell({ pressed: true });
      clearTimeout(pressing);
      pressing = setTimeout(() => tell({ pressed: false }), PRESS_MS);
    });
    return () => {
      clearTimeout(pressing);
      listening.abort();
    };
  }, [frame]);
  return held;
}
