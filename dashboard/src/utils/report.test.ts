import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { followReport, told } from './report';
import { session } from './session';

const { asked, changed } = vi.hoisted(() => ({ asked: vi.fn(), changed: new Set<() => void>() }));
vi.mock('./api', () => ({ ask: asked }));
vi.mock('./actions', () => ({
  allOf: () => ({
    use: () => () => undefined,
    view: { subscribe: (heard: () => void) => (changed.add(heard), () => changed.delete(heard)) },
  }),
}));

const WELL = { verdict: 'Well', summary: 'all is well', findings: [] };
let leave: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  asked.mockResolvedValue(WELL);
  session.set({ ...session.get(), state: 'in' } as ReturnType<typeof session.get>);
  leave = followReport();
});

afterEach(async () => {
  leave();
  await vi.advanceTimersByTimeAsync(60_000);
  asked.mockReset();
  vi.useRealTimers();
});

describe('the report', () => {
  it('is asked for at once, and then every ten seconds', async () => {
    await vi.advanceTimersByTimeAsync(0);
    expect(told.get().report).toEqual(WELL);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(asked).toHaveBeenCalledTimes(4);
  });

  it('is asked for while changes never pause, once a second', async () => {
    await vi.advanceTimersByTimeAsync(0);
    for (let tenth = 0; tenth < 50; tenth += 1) {
      changed.forEach((heard) => heard());
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(asked.mock.calls.length).toBeGreaterThanOrEqual(5);
    expect(asked.mock.calls.length).toBeLessThanOrEqual(7);
  });
});
