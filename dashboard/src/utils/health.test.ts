import { describe, expect, it } from 'vitest';

import { attention, verdict } from './attention';
import { sentence, serviceHealth, serviceWord, stateOf, workerWord } from './health';
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

describe('what needs a person', () => {
  it('is nothing when all is well', () => {
    expect(attention([service('a', 'Ready'), service('b', 'Disabled')], [worker('w', true)])).toEqual([]);
  });

  it('begins with the worst', () => {
    const items = attention(
      [service('a', 'Waiting'), service('b', 'Failed')],
      [worker('w', false), worker('c', true, true)],
    );
    expect(items.map((each) => each.health)).toEqual(['bad', 'bad', 'warn', 'warn']);
  });

  it('is one thing when many workers fall silent together', () => {
    const workers = ['a', 'b', 'c', 'd', 'e'].map((name) => worker(name, name === 'e'));
    const items = attention([], workers);
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      what: '4 of 5 workers have no heartbeat',
      fix: { do: 'goto', to: '/ui/workers' },
    });
  });

  it('offers to enable what somebody waits for', () => {
    const needed = service('key-manager', 'Disabled');
    const [item] = attention(
      [service('storage', 'Waiting', 'waiting for key-manager to be enabled', 'WaitingForNeeds'), needed],
      [],
    );
    expect(item?.fix).toMatchObject({ do: 'enable', service: needed });
  });

  it('offers to create what is not there', () => {
    const [item] = attention(
      [service('storage', 'Waiting', 'waiting for key-manager to be created', 'WaitingForNeeds')],
      [],
    );
    expect(item?.fix).toMatchObject({ do: 'create', managed: 'key_manager' });
  });

  it('is not what is only changing', () => {
    expect(attention([service('a', 'Starting'), service('b', 'Updating')], [])).toEqual([]);
  });

  it('keeps a key from being lost', () => {
    const key = {
      metadata: { name: 'k' },
      status: { keyState: 'PendingDeletion', deletionDate: '2026-12-01T00:00:00Z' },
    };
    const [item] = attention([], [], [key]);
    expect(item).toMatchObject({
      fix: { do: 'keepKey' },
      why: 'Everything it encrypted is lost for good on 2026-12-01.',
    });
  });
});

describe('the verdict', () => {
  const told = (services: Service[], workers: Worker[]) => verdict(attention(services, workers), services, workers);

  it('says that all is well', () => {
    expect(told([service('a', 'Ready')], [worker('w', true)])).toEqual({
      health: 'well',
      line: 'All is well',
      detail: '1 of 1 service running on 1 worker',
    });
  });
  it('counts what needs one', () => {
    expect(told([service('a', 'Failed')], [worker('w', true)]).line).toBe('1 issue needs attention');
    expect(told([service('a', 'Failed'), service('b', 'Waiting')], []).line).toBe('2 issues need attention');
  });
  it('tells work from trouble', () => {
    expect(told([service('a', 'Starting')], [worker('w', true)]).health).toBe('busy');
  });
  it('helps to begin', () => {
    expect(told([], [worker('w', true)]).detail).toBe('Enable a service to begin');
  });
});

it('says conditions in words', () => {
  expect(sentence('Placed', 'False', '2 workers lack memory')).toBe('No worker can take it: 2 workers lack memory');
  expect(sentence('Degraded', 'False')).toBe('Everything it needs is there');
  expect(sentence('Sealed', 'Unknown')).toBe('Sealed is not known');
});
