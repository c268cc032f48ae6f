import { expect, it } from 'vitest';

import { bearable } from './useInSteps';

const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `row ${from + index}`);
const itself = (row: string) => row;

/** How many rows there are after each drawing, until all are drawn. */
function drawings(wanted: readonly string[], drawn: readonly string[]): number[] {
  const counts: number[] = [];
  for (let shown = drawn; shown.length < wanted.length || counts.length === 0; counts.push(shown.length))
    shown = bearable(wanted, itself, new Set(shown));
  return counts;
}

it('draws a long list in steps, and ends', () => {
  expect(drawings(rows(0, 20), [])).toEqual([8, 16, 20]);
});

it('counts only what is new', () => {
  expect(drawings(rows(0, 20), rows(0, 15))).toEqual([20]);
  expect(drawings([...rows(90, 92), ...rows(0, 20)], rows(0, 20))).toEqual([22]);
  expect(drawings(rows(0, 5), rows(0, 20))).toEqual([5]);
});

it('leaves nothing out in the middle', () => {
  const shown = bearable([...rows(0, 10), ...rows(50, 60)], itself, new Set(rows(50, 60)));
  expect(shown).toEqual(rows(0, 8));
});
