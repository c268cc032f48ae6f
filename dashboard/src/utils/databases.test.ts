import { describe, expect, it } from 'vitest';

import { endTold, momentFault, moreOf, newBackup, parametersOf, restored, windowOf } from './databases';
import type { Resource } from './resources';

const shop = (spec: object = {}, status: object = {}): Resource => ({
  metadata: { name: 'shop', namespace: 'acme' },
  spec: { engine: 'postgresql', ...spec },
  status,
});
const WINDOW = { from: '2026-01-01T00:00:00Z', to: '2026-01-08T00:00:00Z' };

describe('a moment to bring back', () => {
  it('lies within what is kept; none is the latest', () => {
    expect(momentFault('', WINDOW)).toBe('');
    expect(momentFault('2026-01-03T12:00:00Z', WINDOW)).toBe('');
    expect(momentFault('2025-12-31T12:00:00Z', WINDOW)).toMatch(/before/);
    expect(momentFault('2026-01-09T12:00:00Z', WINDOW)).toMatch(/after/);
    expect(momentFault('yesterday', WINDOW)).toMatch(/2026-01-31/);
  });

  it('is there once both ends are', () => {
    expect(windowOf(shop())).toBeNull();
    expect(windowOf(shop({}, { backup: { earliestRestorableTime: WINDOW.from } }))).toBeNull();
    const both = { earliestRestorableTime: WINDOW.from, latestRestorableTime: WINDOW.to };
    expect(windowOf(shop({}, { backup: both }))).toEqual(WINDOW);
  });
});

describe('a restored database', () => {
  const source = shop({ version: '15', exposure: { port: 5432 }, restore: { backup: 'old' }, parameters: { a: 'b' } });
  it('takes along what was chosen, but not the address, nor what the source began with', () => {
    const made = restored(source, 'again', { time: '2026-01-03T12:00:00Z' });
    expect(made.metadata).toEqual({ name: 'again', namespace: 'acme' });
    expect(made.spec).toEqual({
      engine: 'postgresql',
      parameters: { a: 'b' },
      restore: { database: 'shop', time: '2026-01-03T12:00:00.000Z' },
    });
  });
  it('begins with the latest moment, or with a backup', () => {
    expect(restored(source, 'again', {}).spec.restore).toEqual({ database: 'shop' });
    expect(restored(source, 'again', { backup: 'b1' }).spec.restore).toEqual({ backup: 'b1' });
  });
});

describe('what is told of a database', () => {
  it('names a backup by its second', () => {
    const made = newBackup(shop(), new Date('2026-01-03T12:00:05.123Z'));
    expect([made.metadata.name, made.spec]).toEqual(['shop-20260103-120005', { database: 'shop' }]);
  });
  it('says what stays when it is deleted', () => {
    expect(endTold(shop())).toMatch(/^nothing/);
    expect(endTold(shop({ backup: {} }))).toMatch(/^a last backup/);
    expect(endTold(shop({ backup: { final: false } }))).toMatch(/^no last backup/);
  });
  it('says of parameters what became of them', () => {
    const told = parametersOf(
      shop(
        { parameters: { a: '1', b: '2', c: '3' } },
        { pendingRestart: ['b'], refusedParameters: { c: '3' }, acceptedParameters: { a: '1', c: '0' } },
      ),
    );
    expect(told.map(({ note }) => note)).toEqual(['', 'counts after a restart', 'not taken; 0 counts']);
  });
  it('says of a server whatever its service does', () => {
    const member = { name: 'a', role: 'replica' as const, ready: true, address: 'b', message: '', lagSeconds: 3 };
    expect(moreOf(member)).toBe('lagSeconds 3');
  });
});
