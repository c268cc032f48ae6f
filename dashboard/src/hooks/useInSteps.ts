import { useEffect, useReducer, useRef } from 'react';

/** How many rows may appear with one drawing: few enough to be drawn between two keys, and a screen full in three. */
const STEP = 8;

/**
 * As many of the rows, from the first on, as one drawing can bear; the rest follows with the next ones. Rows that are
 * drawn already cost nothing. What comes is current at every drawing: deferring the rows themselves
 * (`useDeferredValue`) leaves them old for as long as changes come faster than a slow machine draws.
 */
export function useInSteps<T>(rows: readonly T[], keyOf: (row: T) => string): readonly T[] {
  const drawn = useRef<ReadonlySet<string>>(new Set());
  const [, drawAgain] = useReducer((drawings: number) => drawings + 1, 0);
  const shown = bearable(rows, keyOf, drawn.current);
  useEffect(() => {
    drawn.current = new Set(shown.map(keyOf));
    if (shown.length === rows.length) return undefined;
    const frame = requestAnimationFrame(drawAgain);
    return () => cancelAnimationFrame(frame);
  });
  return shown;
}

/** The longest beginning of the rows in which no more than STEP are new. */
export function bearable<T>(rows: readonly T[], keyOf: (row: T) => string, drawn: ReadonlySet<string>): readonly T[] {
  let fresh = 0;
  const end = rows.findIndex((row) => !drawn.has(keyOf(row)) && ++fresh > STEP);
  return end < 0 ? rows : rows.slice(0, end);
}
