import { describe, expect, it } from 'vitest';

import { particulars, ruleState, ruleTold, silenceOf, worstFirst, type FiringAlert } from './alerts';
import { goldenSignals, graphTold, namesOf, pieces, RANGES, stepOf, ticksOf, told, windowOf } from './metrics';

const line = (...values: number[]) => ({ name: 'a', points: values.map((each, at) => [at * 1000, each] as const) });

describe('a graph', () => {
  it('has round numbers at its side, and zero among them', () => {
    expect(ticksOf([line(3, 97)])).toEqual([0, 50, 100]);
    expect(ticksOf([line(0.2, 0.31)])).toEqual([0, 0.1, 0.2, 0.3, 0.4]);
    expect(ticksOf([line(104 * 1024 ** 2)], 'bytes').map((each) => each / 1024 ** 2)).toEqual([0, 50, 100, 150]);
    expect(ticksOf([line(-4, 4)])).toEqual([-4, -2, 0, 2, 4]);
    expect(ticksOf([])).toEqual([0, 0.5]);
  });

  it('has no line where values are missing', () => {
    const points = [0, 10, 20, 60, 70].map((at) => [at, 1] as const);
    expect(pieces(points, 10).map((each) => each.length)).toEqual([3, 2]);
    expect(pieces([], 10)).toEqual([]);
  });

  it('says in words what it shows', () => {
    expect(graphTold('CPU', [line(1, 3, 2)], 'cores')).toMatch(/^CPU: a now .*2.*, at most .*3/);
    expect(graphTold('CPU', [], 'cores')).toBe('CPU: no values in this time');
    expect(
      graphTold(
        'x',
        Array.from({ length: 7 }, () => line(1)),
        'plain',
      ),
    ).toContain('and 2 more');
  });

  it('names lines by what tells them apart', () => {
    expect(
      namesOf([
        { job: 'a', instance: '1' },
        { job: 'a', instance: '2' },
      ]),
    ).toEqual(['1', '2']);
    expect(namesOf([{ a: '1' }, { b: '2' }])).toEqual(['a=1', 'b=2']);
    expect(namesOf([{ __name__: 'up' }])).toEqual(['up']);
  });

  it('says numbers with their unit', () => {
    expect(told(0.0421, 'seconds')).toBe('42.1 ms');
    expect(told(12.34, 'perSecond')).toBe('12.3/s');
    expect(told(0.5, 'share')).toBe('50 %');
    expect(told(1_234_567, 'plain')).toBe('1.2M');
  });

  it('asks for few points, ten seconds apart at least', () => {
    expect(stepOf(600)).toBe(10);
    expect(stepOf(86_400)).toBe(480);
  });

  it('is of one service, whatever its name', () => {
    const signals = goldenSignals({ metadata: { name: 'a"b' } }, 3_600);
    expect(signals.map((each) => each.title)).toEqual(['Requests', 'Errors', 'Latency', 'CPU', 'Memory']);
    expect(signals[0]!.query).toContain('{service="a\\"b"}[120s]');
    expect(signals[3]!.query).toContain('{namespace="default", service="a\\"b"}');
  });

  it('shows no traffic of another namespace: what is counted is that of default', () => {
    const signals = goldenSignals({ metadata: { name: 'web', namespace: 'shop' } }, 3_600);
    expect(signals.map((each) => each.title)).toEqual(['CPU', 'Memory']);
    expect(signals[0]!.query).toContain('{namespace="shop", service="web"}');
  });

  it('looks at all that lies between two points', () => {
    for (const { seconds } of RANGES) expect(windowOf(seconds)).toBeGreaterThanOrEqual(2 * stepOf(seconds));
    expect(goldenSignals({ metadata: { name: 'web' } }, 604_800)[1]!.query).toContain('[6720s]');
  });
});

const alert = (labels: Record<string, string>, state: 'active' | 'suppressed' = 'active'): FiringAlert => ({
  labels,
  annotations: {},
  startsAt: '2026-11-30T00:00:00Z',
  fingerprint: JSON.stringify(labels),
  status: { state, silencedBy: [], inhibitedBy: [] },
});

describe('alerts', () => {
  it('come the worst first, those that nobody is told of last', () => {
    const all = [
      alert({ severity: 'info' }),
      alert({ severity: 'critical' }, 'suppressed'),
      alert({ severity: 'warning' }),
    ];
    expect(worstFirst(all).map((each) => each.labels.severity)).toEqual(['warning', 'info', 'critical']);
  });

  it('are silenced by all their labels, in their namespace or in the cloud', () => {
    const own = silenceOf(alert({ alertname: 'slow', namespace: 'shop' }), 4, 0) as any;
    expect(own.metadata.namespace).toBe('shop');
    expect(own.spec.matchers).toEqual([
      { name: 'alertname', value: 'slow' },
      { name: 'namespace', value: 'shop' },
    ]);
    expect(own.spec.endsAt).toBe('1970-01-01T04:00:00.000Z');
    const cloud = silenceOf(alert({ alertname: 'worker-silent' }), 1, 0) as any;
    expect([cloud.metadata.namespace, cloud.spec.scope]).toEqual(['default', 'Cloud']);
    expect(cloud.spec.matchers).toContainEqual({ name: 'namespace', value: '' }); // nobody else's of that name
  });

  it('are not silenced with others that differ in what cannot be matched', () => {
    expect(() => silenceOf(alert({ alertname: 'slow', namespace: 'shop', 'a.b': 'x' }), 1, 0)).toThrow(/label a\.b/);
    const labels = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`l${index}`, 'x']));
    expect(() => silenceOf(alert({ ...labels, namespace: 'shop' }), 1, 0)).toThrow(/more labels than the 16/);
  });

  it('say what else they are about', () => {
    expect(particulars(alert({ alertname: 'a', severity: 'info', worker: 'w1' }))).toBe('worker=w1');
    const rule = { name: 'a', group: 'g', query: '', labels: {}, annotations: {}, lastError: '', health: 'ok' };
    const annotations = { summary: 'The worker {{ $labels.worker }} has {{ $value }}.' };
    expect(ruleTold({ ...rule, state: 'inactive', annotations })).toBe('The worker ‹worker› has ‹value›.');
    expect(ruleState({ ...rule, state: 'firing' }).word).toBe('fires');
    expect(ruleState({ ...rule, state: 'firing', lastError: 'x' }).health).toBe('unknown');
  });
});
