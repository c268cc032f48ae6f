import { expect, it } from 'vitest';

import { GONE_MS, placed } from './calm';

const keyOf = (row: { key: string }) => row.key;
const rows = (keys: string) => [...keys].map((key) => ({ key }));
const seen = (list: { key: string; goneAt: number }[]) =>
  list.map((each) => each.key + (each.goneAt ? '†' : '')).join('');

it('keeps every row in its place while somebody points at one, also a row that went', () => {
  const first = placed([], rows('abc'), keyOf, false, 0);
  const held = placed(first, rows('cbd'), keyOf, true, 1000);
  expect(seen(held)).toBe('a†bcd');
  expect(seen(placed(held, rows('dcb'), keyOf, true, 1500))).toBe('a†bcd');
});

it('shows the order of the list as soon as nobody does', () => {
  const first = placed([], rows('abc'), keyOf, false, 0);
  expect(seen(placed(first, rows('cb'), keyOf, false, 10))).toBe('cb');
});

it('lets go of a row that went, after a while, and takes it back in its place when it comes again', () => {
  const first = placed([], rows('abc'), keyOf, false, 0);
  const gone = placed(first, rows('bc'), keyOf, true, 5);
  expect(seen(placed(gone, rows('bc'), keyOf, true, 5 + GONE_MS - 1))).toBe('a†bc');
  expect(seen(placed(gone, rows('bc'), keyOf, true, 5 + GONE_MS))).toBe('bc');
  expect(seen(placed(gone, rows('cba'), keyOf, true, 100))).toBe('abc');
});

it('shows each row as it is now', () => {
  const first = placed([], [{ key: 'a', value: 1 }], keyOf, false, 0);
  expect(placed(first, [{ key: 'a', value: 2 }], keyOf, true, 1)[0]?.row).toEqual({ key: 'a', value: 2 });
});
