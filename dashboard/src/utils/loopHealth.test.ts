import { describe, expect, it } from 'vitest';

import {
  duration,
  informerTold,
  lastTold,
  passesTold,
  queueTold,
  stateOf,
  timesTold,
  type LoopKind,
} from './loopHealth';

const QUIET: LoopKind = {
  name: 'services.aerekos.cloud',
  queue: { depth: 0, delayed: 0, working: 0, oldestSeconds: 0 },
  passes: {
    results: { done: 1200, again: 30, temporary: 0, permanent: 0, unexpected: 0, overtaken: 4 },
    retries: 0,
    seconds: { count: 1234, mean: 0.0012, within99: 0.005 },
    last: 'done',
    lastSecondsAgo: 4.2,
  },
  informer: { resources: 12, lagRevisions: 0, disconnectedSeconds: 0 },
};
const queued = (queue: Partial<NonNullable<LoopKind['queue']>>): LoopKind => ({
  ...QUIET,
  queue: { ...QUIET.queue!, ...queue },
});
const away = (disconnectedSeconds: number): LoopKind => ({
  ...QUIET,
  informer: { ...QUIET.informer!, disconnectedSeconds },
});

describe('a kind in a word', () => {
  it('keeps up while nothing waits, and works while something does', () => {
    expect(stateOf(QUIET)).toEqual({ health: 'well', word: 'Keeps up' });
    expect(stateOf(queued({ delayed: 3 })).word).toBe('Keeps up');
    expect(stateOf(queued({ depth: 2, oldestSeconds: 3 }))).toEqual({ health: 'busy', word: 'Working' });
    expect(stateOf(queued({ working: 1 })).word).toBe('Working');
  });

  it('is behind by its oldest key, and worse after a minute', () => {
    expect(stateOf(queued({ depth: 1, oldestSeconds: 11 }))).toEqual({ health: 'warn', word: 'Behind' });
    expect(stateOf(queued({ depth: 1, oldestSeconds: 61 })).health).toBe('bad');
  });

  it('is disconnected before anything else, for what it knows is old', () => {
    expect(stateOf({ ...queued({ oldestSeconds: 99 }), ...{ informer: away(12).informer } })).toEqual({
      health: 'warn',
      word: 'Disconnected',
    });
    expect(stateOf(away(61)).health).toBe('bad');
    expect(stateOf(away(2)).word).toBe('Keeps up');
  });

  it('says when the last pass failed', () => {
    const failed = { ...QUIET, passes: { ...QUIET.passes!, last: 'permanent' } };
    expect(stateOf(failed)).toEqual({ health: 'warn', word: 'Failed last' });
    expect(stateOf({ ...QUIET, passes: { ...QUIET.passes!, last: 'overtaken' } }).word).toBe('Keeps up');
  });

  it('has nothing to say of passes where there is no reconciler', () => {
    const read: LoopKind = { ...QUIET, queue: null, passes: null };
    expect(stateOf(read)).toEqual({ health: 'idle', word: 'Only read' });
    expect([queueTold(read), passesTold(read), lastTold(read)]).toEqual(['–', '–', '–']);
  });
});

describe('numbers', () => {
  it('are told with what stands out, and without what is zero', () => {
    expect(passesTold(QUIET)).toBe('1,234');
    const rough = { ...QUIET.passes!, results: { ...QUIET.passes!.results, temporary: 2, unexpected: 1 }, retries: 7 };
    expect(passesTold({ ...QUIET, passes: rough })).toBe('1,234 · 3 failed · 7 retried');
    expect(queueTold(QUIET)).toBe('0');
    expect(queueTold(queued({ depth: 3, working: 2, delayed: 1 }))).toBe('3 · 2 working · 1 later');
    expect(lastTold(QUIET)).toBe('done, 4 s ago');
    expect(informerTold(QUIET)).toBe('12 resources');
    const behind = { resources: 1, lagRevisions: 40, disconnectedSeconds: 95 };
    expect(informerTold({ ...QUIET, informer: behind })).toBe('1 resource · 40 revisions behind · away for 1 min');
  });

  it('of time have the unit people read', () => {
    expect([0.0004, 0.0012, 0.025, 0.5, 2.5].map(duration)).toEqual(['0.4 ms', '1.2 ms', '25 ms', '500 ms', '2.5 s']);
    expect(timesTold(QUIET.passes!.seconds)).toBe('1.2 ms, 99 % within 5 ms');
    expect(timesTold({ count: 3, mean: 20, within99: null })).toBe('20 s');
    expect(timesTold({ count: 0, mean: null, within99: null })).toBe('–');
  });
});
