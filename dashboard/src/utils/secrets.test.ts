import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Resource } from './resources';
import { Reveal, SHOWN_MS, type SecretValue } from './reveal';
import { deliveryOf, keyNamed, keyNameOf, labelOf, rotationOf, versionsOf, whyUnreadable } from './secrets';

const version = (number: number, ...stages: string[]) => ({
  versionId: `v${number}`,
  number,
  stages,
  createdAt: '2026-11-01T00:00:00.000000Z',
  key: 'DefaultEncryptionKey',
});
const secret = (spec: object = {}, status: object = {}): Resource => ({
  metadata: { name: 'prod-db-0123', namespace: 'shop' },
  spec: { secretName: 'prod/db', ...spec },
  status: { currentVersion: 'v2', ...status },
});

describe('a secret', () => {
  it('is called as AWS calls it', () => {
    expect(labelOf(secret())).toBe('prod/db');
    expect(labelOf({ metadata: { name: 'web' }, spec: {} })).toBe('web');
  });
  it('has its labelled versions first, then the newest', () => {
    const versions = [version(1), version(2), version(3, 'AWSPREVIOUS'), version(4, 'AWSCURRENT', 'blue'), version(5)];
    expect(versionsOf(secret({}, { versions })).map((each) => each.number)).toEqual([4, 3, 5, 2, 1]);
    expect(versionsOf({ metadata: { name: 'empty' } })).toEqual([]);
    expect(versionsOf(secret({}, { versions: [{ versionId: 'p', number: 1 }] }))[0]).toMatchObject({
      stages: [],
      key: '',
    });
  });
  it('names the key it lies under, also where that is the default one', () => {
    expect(keyNameOf(secret())).toBe('alias/aws/secretsmanager');
    expect(keyNameOf(secret({ kmsKeyId: 'alias/mine' }))).toBe('alias/mine');
    // What a version was sealed with may be another one than what the secret names now.
    expect(keyNameOf(secret({ kmsKeyId: 'alias/mine' }), 'DefaultEncryptionKey')).toBe('alias/aws/secretsmanager');
    expect(keyNameOf(secret(), 'arn:aws:kms:eu:1:key/a')).toBe('arn:aws:kms:eu:1:key/a');
  });
  it('finds that key by ARN, id, name and alias, in its own account', () => {
    const key = {
      metadata: { name: 'mine', namespace: 'shop' },
      status: { arn: 'arn:aws:kms:eu:1:key/a', keyId: 'a', aliases: ['alias/mine'] },
    };
    const other = { ...key, metadata: { name: 'mine', namespace: 'other' } };
    const names = ['arn:aws:kms:eu:1:key/a', 'a', 'mine', 'alias/mine', 'arn:aws:kms:eu:1:alias/mine'];
    for (const name of names) expect(keyNamed(name, 'shop', [other, key])).toBe(key);
    expect(keyNamed('a', 'shop', [other])).toBeUndefined();
    expect(keyNamed('alias/m', 'shop', [key])).toBeUndefined();
  });
});

describe('its rotation', () => {
  const target = 'arn:aws:lambda:eu:1:function:SecretsManagerRDSPostgreSQLRotationSingleUser';
  const rotation = (more: object = {}, status: object = {}) =>
    rotationOf(secret({ rotation: { target, ...more } }, status));
  it('is told in words', () => {
    expect(rotationOf(secret())).toBeNull();
    expect(rotation({ afterDays: 30, duration: '3h' })).toEqual({
      health: 'well',
      word: 'On',
      about: '',
      by: 'built in: SecretsManagerRDSPostgreSQLRotationSingleUser',
      rules: 'every 30 days, begun within 3h',
      startable: true,
    });
    expect(rotation({ afterDays: 1 })?.rules).toBe('every day');
    expect(rotation({ schedule: 'cron(0 4 ? * SUN *)' })?.rules).toBe('cron(0 4 ? * SUN *), UTC');
    expect(rotation({ target: 'https://rotate.example.com/db' })).toMatchObject({
      by: 'https://rotate.example.com/db',
      rules: 'by hand alone',
    });
  });
  it('tells what is under way, and what failed', () => {
    const token = 't';
    expect(rotation({}, { rotation: { token, step: 'setSecret' } })).toMatchObject({
      word: 'Rotating',
      about: 'at setSecret',
      startable: false,
    });
    const failed = rotation({}, { rotation: { token, step: 'setSecret', attempts: 3, message: 'setSecret: refused' } });
    expect(failed).toMatchObject({ word: 'Failed', health: 'warn', startable: false });
    expect(failed?.about).toBe('setSecret: refused (failed 3 times; it is tried again)');
  });
  it('is begun by hand only where there is something to rotate', () => {
    expect(rotation({ enabled: false })).toMatchObject({ word: 'Cancelled', startable: true });
    expect(rotation({}, { currentVersion: '' })?.startable).toBe(false);
    const doomed = secret({ rotation: { target }, deletionDate: '2026-12-24T00:00:00Z' });
    expect(rotationOf(doomed)).toMatchObject({ word: 'Stopped', startable: false });
  });
});

describe('its delivery', () => {
  const delivery = { secret: 'web-login' };
  it('says where it is, and who reads it there', () => {
    expect(deliveryOf(secret())).toBeNull();
    expect(deliveryOf(secret({ delivery }))?.word).toBe('Waiting');
    const there = deliveryOf(secret({ delivery }, { deliveredTo: 'web-login' }));
    expect(there).toMatchObject({ word: 'Delivered', secret: 'web-login' });
    expect(there?.about).toContain('Secrets in shop');
  });
  it('says why not', () => {
    const conditions = [{ type: 'Reconciled', status: 'False', reason: 'DeliveryFailed', message: 'not delivered: x' }];
    const told = deliveryOf(secret({ delivery }, { deliveredTo: 'web-login', conditions }));
    expect(told).toMatchObject({ word: 'Failed', about: 'not delivered: x' });
  });
});

it('is read from here by its own account, with the right to it, and while it is not about to go', () => {
  expect(whyUnreadable(secret(), 'shop', true)).toBe('');
  expect(whyUnreadable(secret(), 'default', true)).toContain('account of shop');
  expect(whyUnreadable(secret(), 'shop', false)).toContain('use on managedsecrets');
  expect(whyUnreadable(secret({ deletionDate: '2026-12-24T00:00:00Z' }), 'shop', true)).toContain('restored');
});

describe('a revealed value', () => {
  const answers: {
    version: string;
    give: (value: SecretValue) => void;
    fail: (why: Error) => void;
    signal: AbortSignal;
  }[] = [];
  const reveal = () =>
    new Reveal(
      (asked, signal) =>
        new Promise((give, fail) => {
          answers.push({ version: asked, give, fail, signal });
        }),
    );
  beforeEach(() => {
    answers.length = 0;
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  it('is asked for only when somebody wants it, and hidden after half a minute', async () => {
    const value = reveal();
    expect([value.get().state, answers.length]).toEqual(['hidden', 0]);
    const shown = value.show('v1');
    expect(value.get()).toEqual({ state: 'reading', version: 'v1' });
    answers[0]!.give({ text: 'x' });
    await shown;
    expect(value.get()).toEqual({ state: 'shown', version: 'v1', value: { text: 'x' }, until: Date.now() + SHOWN_MS });
    vi.advanceTimersByTime(SHOWN_MS - 1);
    expect(value.get().state).toBe('shown');
    vi.advanceTimersByTime(1);
    expect(value.get()).toEqual({ state: 'hidden' });
  });
  it('that comes when nobody waits any more is not shown', async () => {
    const value = reveal();
    const shown = value.show('v1');
    value.hide();
    expect(answers[0]!.signal.aborted).toBe(true);
    answers[0]!.give({ text: 'late' });
    await shown;
    expect(value.get()).toEqual({ state: 'hidden' });
    vi.runAllTimers();
    expect(value.get()).toEqual({ state: 'hidden' });
  });
  it('makes room for another one, which has half a minute of its own', async () => {
    const value = reveal();
    const first = value.show('v1');
    answers[0]!.give({ text: 'one' });
    await first;
    vi.advanceTimersByTime(SHOWN_MS - 1000);
    const second = value.show('v2');
    expect(value.get()).toEqual({ state: 'reading', version: 'v2' });
    answers[1]!.give({ binary: 'AP8=' });
    await second;
    vi.advanceTimersByTime(2000);
    expect(value.get()).toMatchObject({ state: 'shown', version: 'v2' });
  });
  it('that is refused says why', async () => {
    const value = reveal();
    const shown = value.show('v1');
    const error = new Error('no');
    answers[0]!.fail(error);
    await shown;
    expect(value.get()).toEqual({ state: 'refused', version: 'v1', error });
  });
});
