import { describe, expect, it } from 'vitest';

import { isAsleep, sentence, serviceHealth, serviceWord, stateOf, workerWord } from './health';
import { SERVICES, WORKERS, type Service, type Worker } from './resources';

function service(name: string, phase: string, message = '', reason = phase): Service {
  const ready = { type: 'Ready', status: phase === 'Ready' ? ('True' as const) : ('False' as const), reason, message };
  return {
    metadata: { name, namespace: 'default' },
    spec: { managed: 'x', enabled: phase !== 'Disabled' },
    status: { phase, conditions: [ready] },
  };
}

function worker(name: string, alive: boolean, unschedulable = false): Worker {
  const ready = {
    type: 'Ready',
    status: alive ? ('True' as const) : ('False' as const),
    message: 'no heartbeat for 4 s',
  };
  return { metadata: { name }, spec: { unschedulable }, status: { conditions: [ready] } };
}

describe('the sign and the word', () => {
  it('agree: a service that runs while something it needs is gone is not called Ready', () => {
    const running = service('web', 'Ready');
    running.status.conditions!.push({ type: 'Degraded', status: 'True' });
    expect([serviceHealth(running), serviceWord(running)]).toEqual(['warn', 'Degraded']);
    expect(stateOf(SERVICES, running)).toEqual({ health: 'warn', word: 'Degraded' });
    expect(stateOf(SERVICES, service('a', 'Ready'))).toEqual({ health: 'well', word: 'Ready' });
  });
  it('are the same in lists and on the page of a worker', () => {
    for (const each of [worker('a', true), worker('b', false), worker('c', true, true)])
      expect(stateOf(WORKERS, each).word).toBe(workerWord(each));
    expect(workerWord(worker('b', false))).toBe('No heartbeat');
  });
});

it('tells a service that sleeps until it is asked from one that is off', () => {
  const onDemand = (phase: string): Service => {
    const found = service('s', phase);
    return { ...found, spec: { ...found.spec, activation: 'onDemand' } };
  };
  expect(isAsleep(onDemand('ScaledToZero'))).toBe(true);
  for (const other of [service('s', 'ScaledToZero'), onDemand('Disabled'), onDemand('Failed'), onDemand('Ready')])
    expect(isAsleep(other)).toBe(false);
});

it('says conditions in words', () => {
  expect(sentence('Placed', 'False', '2 workers lack memory')).toBe('No worker can take it: 2 workers lack memory');
  expect(sentence('Degraded', 'False')).toBe('Everything it needs is there');
  expect(sentence('Sealed', 'Unknown')).toBe('Sealed is not known');
});
