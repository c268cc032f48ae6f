import { describe, expect, it } from 'vitest';

import { differences, stepOf } from './changes';
import { ranked, type Command } from './commands';
import { asList, asTab } from './copyas';
import { diffLines, hunks } from './diff';
import { ApiError, inWords } from './errors';
import { readLine } from './logs';
import { amount, bytes, share } from './quantities';
import { KEYS, SERVICES } from './resources';
import { listPage, pageOf, read } from './routes';
import { readPage } from './s3';
import { cellText } from './tables';
import { ago, clockTime, momentTold, span } from './time';
import { fromYaml, lineOf, toYaml } from './yaml';

describe('quantities', () => {
  it.each([
    ['1500m', 1.5],
    ['2Gi', 2147483648],
    ['3', 3],
    ['1e3', 1000],
    ['12k', 12000],
    [undefined, 0],
    ['many', 0],
  ])('%s is %d', (text, value) => {
    expect(amount(text)).toBe(value);
  });
  it('reads well', () => {
    expect([bytes(0), bytes(1536), bytes(512 * 2 ** 30)]).toEqual(['0 B', '1.5 KiB', '512 GiB']);
  });
  it('is never more than the whole', () => {
    expect([share(3, 2), share(1, 0), share(-1, 2)]).toEqual([1, 0, 0]);
  });
});

describe('time', () => {
  it('is told as people tell it', () => {
    expect([span(89), span(600), span(7200 * 2), span(86400 * 3)]).toEqual(['89 s', '10 min', '4 h', '3 d']);
    expect([ago(1000, 2000), ago(1000, 61000)]).toEqual(['just now', '60 s ago']);
  });
});

describe('addresses of screens', () => {
  it.each(['/', '/ui', '/ui/'])('%s is home', (path) => expect(read(path)).toEqual({ screen: 'home' }));
  it('survive there and back', () => {
    const key = { metadata: { name: 'a.b', namespace: 'acme' } };
    expect(read(pageOf(KEYS, key, 'yaml'))).toMatchObject({
      screen: 'detail',
      plural: 'keys',
      namespace: 'acme',
      name: 'a.b',
      tab: 'yaml',
    });
    const kind = { ...KEYS, plural: 'keyaliases' };
    expect(read(pageOf(kind, key))).toMatchObject({ screen: 'detail', group: 'aerekos.cloud', plural: 'keyaliases' });
    expect(read(listPage({ ...kind, group: '' }))).toEqual({
      screen: 'list',
      group: '',
      version: 'v1',
      plural: 'keyaliases',
    });
  });
  it('lead nowhere when they are wrong', () => expect(read('/ui/there/is/none').screen).toBe('nowhere'));
});

describe('changes', () => {
  it('name the fields', () => {
    expect(differences({ replicas: 1, env: [] }, { replicas: 3, env: [], image: 'x' })).toEqual([
      'replicas 1 → 3',
      'image nothing → x',
    ]);
  });
  it('are not told of status', () => {
    const before = {
      metadata: { name: 'a', resourceVersion: '4' },
      spec: { replicas: 1 },
      status: { phase: 'Starting' },
    };
    expect(stepOf(SERVICES, 'MODIFIED', before, { ...before, status: { phase: 'Ready' } }, 0)).toBeNull();
    expect(stepOf(SERVICES, 'MODIFIED', before, { ...before, spec: { replicas: 2 } }, 0)?.what).toEqual([
      'replicas 1 → 2',
    ]);
    expect(stepOf(SERVICES, 'DELETED', before, before, 0)?.verb).toBe('deleted');
  });
});

describe('a diff', () => {
  it('keeps what is common', () => {
    const lines = diffLines('a\nb\nc', 'a\nx\nc');
    expect(lines.map((line) => line.sign + line.text)).toEqual([' a', '-b', '+x', ' c']);
  });
  it('shows only what is near a change', () => {
    const before = Array.from({ length: 40 }, (_, index) => `line ${index}`);
    const after = before.with(20, 'other');
    expect(hunks(diffLines(before.join('\n'), after.join('\n')))).toHaveLength(6);
  });
  it('is empty for the same text', () => expect(hunks(diffLines('a', 'a'))).toEqual([]));
});

describe('YAML', () => {
  const text = 'apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  replicas: 1\n  env:\n    - name: A\n';
  it('finds the line of a field, or of what holds it', () => {
    expect(lineOf(text, 'spec.replicas')).toBe(6);
    expect(lineOf(text, 'spec.missing')).toBe(5);
    expect(lineOf(text, 'nothing')).toBe(1);
  });
  it('names the line of a fault', () => {
    expect(fromYaml('spec: [1')).toMatchObject({ line: expect.any(Number) });
    expect(fromYaml('kind: Service')).toMatchObject({ line: 1 });
  });
  it('leaves out what the server owns', () => {
    const written = toYaml({
      apiVersion: 'v1',
      kind: 'A',
      metadata: { name: 'a', managedFields: [] } as never,
      spec: { b: 1 },
      status: { c: 2 },
    });
    expect(written).not.toMatch(/status|managedFields/);
    expect(fromYaml(written)).toEqual({
      value: { apiVersion: 'v1', kind: 'A', metadata: { name: 'a' }, spec: { b: 1 } },
    });
  });
});

describe('what a refusal leads to', () => {
  const next = (code: number, reason = 'R', causes: { field: string; message: string }[] = []) =>
    inWords(new ApiError(code, reason, 'm', causes)).next;
  it('is said only where it helps', () => {
    expect([next(400), next(500), next(418)]).toEqual(['', '', '']);
    expect([next(422), next(422, 'Invalid', [{ field: 'f', message: 'm' }])]).toEqual(['', 'Correct the named field.']);
  });
  it('tells two writers from a rule, and both from a name that is taken', () => {
    expect(next(409)).toMatch(/changed meanwhile/);
    expect(next(409, 'Conflict', [{ field: 'metadata.name', message: 'the last admin' }])).toBe('');
    expect(next(409, 'AlreadyExists')).toBe('Choose another name.');
  });
});

it('says the same in the words of our own command, too', () => {
  expect(asList(SERVICES).aerekos).toBe('aerekos get services.aerekos.cloud -A');
  const web = { metadata: { name: 'web', namespace: 'acme' } };
  expect(asTab(SERVICES, web, '').aerekos).toBe('aerekos get services.aerekos.cloud web -n acme -o yaml');
  expect(asTab(SERVICES, web, 'logs').aerekos).toBe('aerekos logs -f -n acme web');
  expect(asTab(SERVICES, web, 'history').aerekos).toBe('aerekos get services.aerekos.cloud web -n acme --watch');
});

describe('logs', () => {
  it('reads JSON lines', () => {
    const line = readLine(
      '{"event":"reconciled","level":"warning","timestamp":"2026-01-02T03:04:05Z","kind":"Key"}',
      1,
    );
    expect(line).toMatchObject({ level: 'warning', text: 'reconciled  kind=Key' });
  });
  it('tells times in the zone of the page, with the day when that is another', () => {
    const moment = '2026-01-02T23:30:00Z';
    const at = Date.parse(moment);
    const local = clockTime(at);
    for (const raw of [
      `{"event":"e","timestamp":"${moment}"}`,
      `[${moment}] e`,
      '2026-01-03 00:30:00,000+01:00 e',
      `{"message":"e","ts":"2026-01-02T23:30:00.000Z"}`,
    ]) {
      expect(readLine(raw, 1, at + 1000)).toMatchObject({ time: local, text: 'e', raw });
      expect(readLine(raw, 1, at + 200_000_000).time).toBe(momentTold(at, at + 200_000_000));
    }
    expect(readLine('no time at all', 1).time).toBe('');
  });
  it('guesses at others', () => {
    expect(readLine('Traceback (most recent call last):', 1).level).toBe('error');
    expect(readLine('{"half', 2)).toMatchObject({ level: 'info', text: '{"half' });
  });
});

describe('S3 listings', () => {
  it('are read', () => {
    const xml = `<ListBucketResult><Contents><Key>a/b&amp;c</Key><Size>12</Size><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>"x"</ETag></Contents>
      <CommonPrefixes><Prefix>a/d/</Prefix></CommonPrefixes><NextContinuationToken>ff</NextContinuationToken></ListBucketResult>`;
    expect(readPage(xml)).toEqual({
      objects: [{ key: 'a/b&c', size: 12, modified: '2026-01-01T00:00:00Z', etag: '"x"' }],
      folders: ['a/d/'],
      next: 'ff',
    });
  });
});

describe('commands', () => {
  const command = (name: string, sort = 'place'): Command => ({ id: name, name, sort, run: () => undefined });
  it('are found by the beginnings of words', () => {
    const found = ranked([command('Open shop-web'), command('Restart web', 'action'), command('Go to Workers')], 'web');
    expect(found.map((each) => each.name)).toEqual(['Restart web', 'Open shop-web']);
  });
  it('do nothing by accident: actions are shown only when asked for', () => {
    expect(ranked([command('Disable a', 'action'), command('Home')], '').map((each) => each.name)).toEqual(['Home']);
  });
});

it('shows nothing as a dash', () => expect(['<none>', '', 0].map(cellText)).toEqual(['–', '–', '0']));
