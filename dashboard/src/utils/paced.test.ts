import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { paced, type Paced } from './paced';

const TAKES_MS = 30;
const RESTS_MS = 250;
let began: number[];
let reading: Paced;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  began = [];
  reading = paced(async () => {
    began.push(Date.now());
    await new Promise((resolve) => setTimeout(resolve, TAKES_MS));
  }, RESTS_MS);
});
afterEach(() => {
  vi.useRealTimers();
});

it('begins at once, and not again unasked', async () => {
  reading.ask();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(began).toEqual([0]);
});

it('goes on while it is asked without a pause, and no faster than it should', async () => {
  for (let at = 0; at < 3000; at += 100) {
    reading.ask();
    await vi.advanceTimersByTimeAsync(100);
  }
  const pauses = began.slice(1).map((at, index) => at - began[index]!);
  expect(new Set(pauses)).toEqual(new Set([TAKES_MS + RESTS_MS]));
  expect(began.at(-1)).toBeGreaterThan(2600);
});

it('rests as long as it worked, where that is longer', async () => {
  const working = paced(async () => {
    began.push(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 3 * RESTS_MS));
  }, RESTS_MS);
  working.ask();
  await vi.advanceTimersByTimeAsync(10);
  working.ask();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(began).toEqual([0, 6 * RESTS_MS]);
});

it('does what was asked meanwhile once', async () => {
  reading.ask();
  await vi.advanceTimersByTimeAsync(10);
  reading.ask();
  reading.ask();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(began).toEqual([0, TAKES_MS + RESTS_MS]);
});

it('does nothing more once it is stopped', async () => {
  reading.ask();
  reading.ask();
  reading.stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(began).toEqual([0]);
});
