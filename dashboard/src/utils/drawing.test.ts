import { afterEach, beforeEach, expect, it, vi } from 'vitest';

let drawSoon: typeof import('./drawing').drawSoon;
let frameMs: number;
let shown: [string, number][];

const first = () => note('first');
const second = () => note('second');

/** To ten milliseconds: a timer of none takes one. */
function note(name: string): void {
  shown.push([name, Math.round(Date.now() / 10) * 10]);
}

beforeEach(async () => {
  vi.useFakeTimers({ now: 0 });
  frameMs = 10;
  shown = [];
  vi.stubGlobal('requestAnimationFrame', (frame: () => void) => setTimeout(frame, frameMs));
  vi.resetModules();
  ({ drawSoon } = await import('./drawing'));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it('shows at once, and together what comes while the page rests', async () => {
  drawSoon(first);
  await vi.advanceTimersByTimeAsync(20);
  drawSoon(second);
  drawSoon(first);
  drawSoon(second);
  await vi.advanceTimersByTimeAsync(1000);
  expect(shown).toEqual([
    ['first', 0],
    ['second', 110],
    ['first', 110],
  ]);
});

it('lets the page rest as long as it drew', async () => {
  frameMs = 400;
  drawSoon(first);
  await vi.advanceTimersByTimeAsync(20);
  drawSoon(second);
  await vi.advanceTimersByTimeAsync(2000);
  expect(shown.at(-1)).toEqual(['second', 800]);
});

it('goes on where nobody looks, and nothing is drawn', async () => {
  vi.stubGlobal('requestAnimationFrame', () => 0);
  drawSoon(first);
  await vi.advanceTimersByTimeAsync(20);
  drawSoon(second);
  await vi.advanceTimersByTimeAsync(5000);
  expect(shown).toEqual([
    ['first', 0],
    ['second', 2000],
  ]);
});

it('draws nothing for those who have left meanwhile', async () => {
  const leaving = new AbortController();
  drawSoon(first);
  await vi.advanceTimersByTimeAsync(20);
  drawSoon(second, leaving.signal);
  leaving.abort();
  await vi.advanceTimersByTimeAsync(1000);
  expect(shown).toEqual([['first', 0]]);
});
