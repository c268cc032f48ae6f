import { describe, expect, it } from 'vitest';

import { firingTold, inSpan, timeIn } from './schedules';

const DUE = '2026-03-29T00:30:00Z';
const firing = (more: object) => ({ id: 'a', due: DUE, attempts: 1, fault: '', ...more });

describe('a call of a schedule', () => {
  it('says how it went, or goes', () => {
    const endedAt = '2026-03-29T00:31:00Z';
    expect(firingTold(firing({ endedAt }))).toEqual({ health: 'well', word: 'Taken', about: '' });
    expect(firingTold(firing({ endedAt, attempts: 3 })).about).toBe('at the 3rd attempt');
    expect(firingTold(firing({ endedAt, attempts: 11 })).about).toBe('at the 11th attempt');
    expect(firingTold(firing({ endedAt, attempts: 2, fault: 'no' }))).toMatchObject({
      health: 'bad',
      about: 'tried 2 times: no',
    });
    expect(firingTold(firing({ nextAttempt: endedAt, fault: 'slowly' }))).toMatchObject({
      health: 'warn',
      about: 'tried once: slowly',
    });
    expect(firingTold(firing({ nextAttempt: endedAt, attempts: 0 })).word).toBe('Under way');
  });

  it('is told in the zone that is asked for, over changes of the clock', () => {
    expect(timeIn(DUE, 'Europe/Berlin')).toMatch(/29.*01:30/);
    expect(timeIn('2026-03-29T01:00:00Z', 'Europe/Berlin')).toMatch(/03:00/);
    expect(timeIn(DUE, 'America/New_York')).toMatch(/28.*20:30/);
    expect(timeIn(DUE, 'Nowhere/AtAll')).toBe(timeIn(DUE, 'UTC'));
  });

  it('is so far away', () => {
    const now = Date.parse(DUE);
    expect(inSpan('2026-03-29T00:30:20Z', now)).toBe('in 20 s');
    expect(inSpan('2026-03-29T01:30:00Z', now)).toBe('in 60 min');
    expect(inSpan('2026-03-31T00:30:00Z', now)).toBe('in 2 d');
    expect(inSpan(DUE, now)).toBe('');
    expect(inSpan('soon', now)).toBe('');
  });
});
