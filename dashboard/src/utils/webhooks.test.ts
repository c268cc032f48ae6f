import { describe, expect, it } from 'vitest';

import type { Resource } from './resources';
import { attemptTold, secretOf, sentState, standing } from './webhooks';

const endpoint = (spec: object, status: object = {}): Resource => ({ metadata: { name: 'shop' }, spec, status });

describe('an endpoint', () => {
  it('says how it stands: the worst first', () => {
    expect(standing(endpoint({})).word).toBe('On');
    expect(standing(endpoint({ enabled: false }, { failingSince: 'x' })).word).toBe('Paused');
    expect(standing(endpoint({}, { failingSince: 'x' })).word).toBe('Failing');
    const gone = endpoint(
      { enabled: false },
      { failingSince: 'x', disabledAt: 'y', disabledBecause: 'it answered 410' },
    );
    expect(standing(gone)).toEqual({ health: 'bad', word: 'Disabled', about: 'it answered 410' });
  });

  it('signs with the Secret that is named for it', () => {
    expect(secretOf(endpoint({}))).toBe('shop-webhook');
    expect(secretOf(endpoint({}, { secretName: 'other' }))).toBe('other');
  });
});

describe('an attempt', () => {
  const attempt = { message: 'a', at: '', milliseconds: 41.4, fault: '' };
  it('says what was answered and how fast, or why nothing was', () => {
    expect(attemptTold({ ...attempt, status: 200 })).toBe('200 in 41 ms');
    expect(attemptTold({ ...attempt, status: 503, fault: 'it answered 503' })).toBe('503 in 41 ms');
    expect(attemptTold({ ...attempt, fault: 'it cannot be reached' })).toBe('no answer in 41 ms: it cannot be reached');
  });

  it('makes a message that waits one that is tried again', () => {
    const sent = { id: 'a', type: 't', bytes: 1, takenAt: '', fault: '', state: 'Waiting' as const };
    expect(sentState({ ...sent, attempts: 0 }).word).toBe('Waiting');
    expect(sentState({ ...sent, attempts: 2 }).word).toBe('Tried again');
    expect(sentState({ ...sent, attempts: 2, state: 'Failed' }).health).toBe('bad');
  });
});
