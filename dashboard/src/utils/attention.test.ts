import { describe, expect, it } from 'vitest';

import { attention, badgeOf, verdict, type Known } from './attention';
import type { Finding, Report } from './report';
import type { MissingDependency, Resource, Service, Worker } from './resources';

const NOBODY: Known = { services: [], workers: [], keys: [] };

function finding(code: string, kind: string, name: string, more: Partial<Finding> = {}): Finding {
  const namespace = kind === 'Worker' || kind === 'Namespace' || kind === 'Conductor' ? '' : 'default';
  const object = { kind, name, namespace };
  return { severity: 'warning', code, object, message: `${name} is not well`, fix: 'mend it', ...more };
}

function service(name: string, phase: string, message = '', reason = 'Any'): Service {
  const ready = { type: 'Ready', status: phase === 'Ready' ? ('True' as const) : ('False' as const), message, reason };
  const metadata = { name, namespace: 'default' };
  return { metadata, spec: {}, status: { phase, conditions: [{ ...ready, lastTransitionTime: 'T' }] } };
}

function worker(name: string): Worker {
  return { metadata: { name }, spec: {}, status: { conditions: [{ type: 'Ready', status: 'True' }] } };
}

function report(word: Report['verdict'], summary: string, ...findings: Finding[]): { report: Report; error: null } {
  return { report: { verdict: word, summary, findings }, error: null };
}

describe('what needs a person', () => {
  it('is what the report found, in its words and its order', () => {
    const found = [
      finding('DiskFull', 'Conductor', '', {
        severity: 'critical',
        message: 'the disk is 97 % full',
        fix: 'make room',
      }),
      finding('ClockSkewed', 'Worker', 'oak'),
      finding('AutostartMissing', 'Conductor', '', { severity: 'info' }),
    ];
    const items = attention(found, NOBODY);
    expect(items.map((each) => each.health)).toEqual(['bad', 'warn', 'idle']);
    expect(items[0]).toMatchObject({ what: 'the disk is 97 % full', why: 'make room', fix: undefined });
    expect(new Set(items.map((each) => each.id)).size).toBe(3);
  });

  it.each([
    ['BuiltInServiceMissing', { do: 'create', managed: 'key_manager' }],
    ['BuiltInServiceDisabled', undefined],
  ])('%s of a service that is not there', (code, fix) => {
    const [item] = attention([finding(code, 'Service', 'key-manager')], NOBODY);
    if (fix) expect(item?.fix).toMatchObject(fix);
    else expect(item?.fix).toBeUndefined();
  });

  it('enables what was switched off, and shows what was scaled to zero', () => {
    const off = { ...service('keys', 'Disabled'), spec: { enabled: false } };
    const zero = { ...service('keys', 'ScaledToZero'), spec: { replicas: 0 } };
    const fixes = [off, zero].map(
      (each) => attention([finding('BuiltInServiceDisabled', 'Service', 'keys')], { ...NOBODY, services: [each] })[0],
    );
    expect(fixes.map((each) => each?.fix?.do)).toEqual(['enable', 'look']);
  });

  it.each([
    ['NeedsContainerRuntime', 'disable'],
    ['UnknownManagedService', 'look'],
    ['EngineMissing', 'look'],
    ['EngineVersionMismatch', 'look'],
    ['Unschedulable', 'look'],
    ['WaitingForFiles', 'look'],
    ['CreateContainerConfigError', 'look'],
    ['WaitingForDependencies', 'look'], // a record that does not say which
    ['Failed', 'restart'],
  ])('offers what helps a service with the reason %s, whatever its message says', (reason, does) => {
    const services = [service('web', 'Waiting', 'waiting for keys to be enabled', reason), service('keys', 'Disabled')];
    const [item] = attention([finding('ServiceNotReady', 'Service', 'web')], { ...NOBODY, services });
    expect(item).toMatchObject({ since: 'T', fix: { do: does } });
  });

  it.each([
    [{ name: 'keys', reason: 'Disabled' }, 'enable'],
    [{ name: 'zero', reason: 'Disabled' }, 'look'],
    [{ name: 'keys', reason: 'NotReady' }, 'look'],
    [{ name: 'gone', reason: 'NotReady' }, 'look'],
    [{ name: 'key-manager', managed: 'key_manager', reason: 'NotFound' }, 'create'],
    [{ name: 'db-of-somebody', reason: 'NotFound' }, 'look'],
  ] as [MissingDependency, string][])('offers what helps a service that lacks %j', (missing, does) => {
    const web = service('web', 'Waiting', '', 'WaitingForDependencies');
    web.status.missingDependencies = [missing];
    const off = { ...service('keys', 'Disabled'), spec: { enabled: false } };
    const elsewhere = { ...off, metadata: { name: 'gone', namespace: 'other' } };
    const services = [web, elsewhere, off, service('zero', 'ScaledToZero')];
    const fix = attention([finding('ServiceNotReady', 'Service', 'web')], { ...NOBODY, services })[0]?.fix;
    expect(fix?.do).toBe(does);
    if (does === 'create') expect(fix).toMatchObject({ managed: 'key_manager' });
    if (does === 'enable') expect(fix).toMatchObject({ service: off });
  });

  it('creates no managed service for a service of another namespace: it would come to be in `default`', () => {
    const web = service('web', 'Waiting', '', 'WaitingForDependencies');
    web.metadata.namespace = 'shop';
    web.status.missingDependencies = [{ name: 'key-manager', managed: 'key_manager', reason: 'NotFound' }];
    const object = { kind: 'Service', name: 'web', namespace: 'shop' };
    const [item] = attention([finding('ServiceNotReady', 'Service', 'web', { object })], {
      ...NOBODY,
      services: [web],
    });
    expect(item?.fix).toMatchObject({ do: 'look', label: 'See why' });
  });

  it.each([
    ['WorkerCordoned', 'oak', 'uncordon'],
    ['WorkerNotReady', 'oak', 'look'],
    ['WorkerNotReady', '', 'goto'],
  ])('%s about worker "%s"', (code, name, does) => {
    const [item] = attention([finding(code, 'Worker', name)], { ...NOBODY, workers: [worker('oak')] });
    expect(item?.fix?.do).toBe(does);
  });

  it('keeps a key from being lost, and leads to a bucket and a namespace', () => {
    const key: Resource = { metadata: { name: 'k', namespace: 'default' } };
    const found = [
      finding('KeyPendingDeletion', 'Key', 'k'),
      finding('BucketKeyLost', 'Bucket', 'photos'),
      finding('NamespaceTerminating', 'Namespace', 'old'),
    ];
    expect(attention(found, { ...NOBODY, keys: [key] }).map((each) => each.fix)).toMatchObject([
      { do: 'keepKey', key },
      { do: 'goto', to: '/ui/buckets/default/photos' },
      { do: 'goto', to: '/ui/k/core/v1/namespaces/-/old' },
    ]);
  });
});

describe('the verdict', () => {
  it("is the report's, with what runs beside it", () => {
    const services = [service('a', 'Ready'), service('b', 'Starting'), service('c', 'Disabled')];
    expect(verdict(report('Well', 'all is well'), services, [worker('w')])).toEqual({
      health: 'well',
      line: 'All is well',
      detail: '1 service changing · 1 of 2 services running on 1 worker',
    });
    const bad = verdict(report('NotWell', 'not well: 2 things need attention'), services, []);
    expect(bad).toMatchObject({ health: 'bad', line: 'Not well: 2 things need attention' });
  });

  it('is no verdict of the page when nobody told one', () => {
    expect(verdict({ report: null, error: null }, [service('a', 'Ready')], [worker('w')]).health).toBe('unknown');
  });

  it('helps to begin', () => {
    expect(verdict(report('Well', 'all is well'), [], [worker('w')]).detail).toBe('Enable a service to begin');
  });

  it('counts for the badge what the report counts', () => {
    const info = finding('AutostartMissing', 'Conductor', '', { severity: 'info' });
    expect(badgeOf(report('Well', 'all is well', info))).toBeUndefined();
    const two = [finding('DiskFull', 'Conductor', '', { severity: 'critical' }), finding('ClockSkewed', 'Worker', 'w')];
    expect(badgeOf(report('NotWell', '', ...two, info))).toEqual({ count: 2, health: 'bad' });
  });
});
