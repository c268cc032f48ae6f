/** Rows that stay where they are while somebody aims at one. Pure. */

export interface Placed<T> {
  key: string;
  row: T;
  /** Since when (ms) it is not among the rows any more; 0 while it is. */
  goneAt: number;
}

/** For how long a row that went keeps its place, so that no other one slips under the pointer. */
export const GONE_MS = 2000;

/** `now` in its own order; while `held`, in the places of `before` (by key), with what is new at the end. */
export function placed<T>(
  before: readonly Placed<T>[],
  now: readonly T[],
  keyOf: (row: T) => string,
  held: boolean,
  at: number,
): Placed<T>[] {
  const fresh = new Map(now.map((row) => [keyOf(row), row]));
  const stayed: Placed<T>[] = [];
  for (const each of held ? before : []) {
    const row = fresh.get(each.key);
    fresh.delete(each.key);
    if (row !== undefined) stayed.push({ key: each.key, row, goneAt: 0 });
    else if (at - (each.goneAt || at) < GONE_MS) stayed.push({ ...each, goneAt: each.goneAt || at });
  }
  return [...stayed, ...[...fresh].map(([key, row]) => ({ key, row, goneAt: 0 }))];
}
