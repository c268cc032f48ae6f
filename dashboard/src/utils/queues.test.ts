import { describe, expect, it } from 'vitest';

import { failureTold, messageState, sending, sourcesOf, subscriptionState, taskTold, type MoveTask } from './queues';
import type { Resource } from './resources';

const ARN = 'arn:aws:sqs::000000000000:';

function queue(name: string, spec: object = {}): Resource {
  return { metadata: { name, namespace: 'default', uid: name }, spec, status: { arn: ARN + name } };
}

const moving = (more: Partial<MoveTask>): MoveTask => ({
  Status: 'RUNNING',
  ApproximateNumberOfMessagesMoved: 3,
  ApproximateNumberOfMessagesToMove: 25,
  StartedTimestamp: 0,
  ...more,
});

describe('dead letters', () => {
  it('are those of queues that name this one', () => {
    const dead = queue('dead');
    const source = queue('orders', { redrive: { deadLetterTargetArn: `${ARN}dead`, maxReceiveCount: 3 } });
    expect(sourcesOf(dead, [dead, source, queue('other')])).toEqual([source]);
    const unseen = { ...dead, status: {} };
    expect(sourcesOf(unseen, [source, queue('bare', { redrive: {} })])).toEqual([]);
  });

  it('say where and why they failed', () => {
    const told = (source: string, code: string) => failureTold({ source, code, messages: 1, oldest: '' });
    expect(told(`${ARN}orders`, '')).toBe('received too often in orders');
    expect(told('', 'AccessDenied')).toBe('AccessDenied');
    expect(told(`${ARN}orders`, 'Timeout')).toBe('Timeout, of orders');
    expect(told('', '')).toBe('sent here by somebody');
  });

  it('tell how far they came on their way back', () => {
    expect(taskTold(moving({}))).toEqual({ health: 'busy', word: 'Moving', about: '3 of 25 to where they failed' });
    const told = taskTold(moving({ DestinationArn: `${ARN}orders`, MaxNumberOfMessagesPerSecond: 5 }));
    expect(told.about).toBe('3 of 25 to orders, 5 a second');
    const failed = taskTold(moving({ Status: 'FAILED', FailureReason: 'CouldNotDetermineMessageSource' }));
    expect(failed).toMatchObject({ health: 'bad', word: 'Failed' });
    expect(failed.about).toMatch(/choose where to/);
  });
});

describe('a message', () => {
  it('is sent without what was left empty', () => {
    const empty = { body: 'hello', group: '', deduplication: '', delay: '' };
    const where = { QueueUrl: `${window.location.origin}/000000000000/orders`, MessageBody: 'hello' };
    expect(sending(queue('orders'), empty)).toEqual(where);
    const full = { ...empty, group: 'a', deduplication: 'b', delay: '0' };
    expect(sending(queue('orders'), full)).toEqual({
      ...where,
      MessageGroupId: 'a',
      MessageDeduplicationId: 'b',
      DelaySeconds: 0,
    });
  });

  it('has a word for its state, also one that is not known here', () => {
    expect(messageState({ state: 'InFlight' } as any).word).toBe('In flight');
    expect(messageState({ state: 'Lost' } as any)).toEqual({ health: 'unknown', word: 'Lost' });
    expect(subscriptionState({ state: 'Pending' } as any).word).toBe('Waits to be confirmed');
  });
});
