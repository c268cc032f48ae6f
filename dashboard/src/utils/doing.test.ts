import { describe, expect, it } from 'vitest';

import { isAbout, matching, toldOf, type AuditLine } from './audit';
import { summed, usedBy, type Beat } from './beats';
import type { Step } from './changes';
import { commandsFor, ranked, scaling, type Powers } from './commands';
import { copiesOn } from './draining';
import { framed, pathOf, resultOf } from './exec';
import { arrivals, lineFor } from './joining';
import { tabPage } from './keyboard';
import { signed } from './presign';
import { BUCKETS, KEYS, SECRETS, SERVICES, USERS, type Resource, type Service, type Worker } from './resources';
import { faultsOf } from './schema';
import { ejections, errorShare, flowTo, Pair, perSecond } from './traffic';
import { isUndoable, restored, untouched } from './undo';

describe('a command in an instance', () => {
  it('is asked for as kubectl does', () => {
    const path = pathOf({ namespace: 'acme', instance: 'web.1', command: ['sh', '-c', 'echo "a b"'] });
    const url = new URL(path, 'https://x');
    expect(url.pathname).toBe('/api/v1/namespaces/acme/pods/web.1/exec');
    expect(url.searchParams.getAll('command')).toEqual(['sh', '-c', 'echo "a b"']);
    expect(url.searchParams.get('tty')).toBe('true');
  });
  it('puts the channel before what it sends', () => {
    expect([...framed(4, new TextEncoder().encode('x'))]).toEqual([4, 120]);
  });
  it('tells how it ended', () => {
    expect(resultOf({ status: 'Success' }).code).toBe(0);
    const causes = [{ reason: 'ExitCode', message: '7' }];
    expect(resultOf({ status: 'Failure', details: { causes } }).code).toBe(7);
    expect(resultOf({ status: 'Failure', code: 403, message: 'no' })).toEqual({ code: null, message: 'no' });
  });
});

describe('a link to an object', () => {
  it('is signed as AWS signs it', async () => {
    const pair = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret', region: 'us-east-1' };
    const now = new Date('2026-01-02T03:04:05.678Z');
    const link = await signed({ origin: 'https://h:7443', bucket: 'b', key: "a/it's (1).txt", seconds: 60, now }, pair);
    // Made once with botocore, from the same parts.
    expect(link).toBe(
      'https://h:7443/b/a/it%27s%20%281%29.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAEXAMPLE%2F20260102%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=8b9ef194055e7b42d10d3f0670ba2ecd8a3db894ab03ac10024eb3f05bcad228',
    );
  });
});

describe('a schema', () => {
  const all = {
    Env: { type: 'object', required: ['name'], properties: { name: { type: 'string', pattern: '^[A-Z]+$' } } },
  };
  const schema = {
    type: 'object',
    properties: {
      replicas: { type: 'integer', minimum: 0, maximum: 9 },
      mode: { type: 'string', enum: ['a', 'b'] },
      env: { type: 'array', items: { $ref: '#/components/schemas/Env' } },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
  const said = (value: unknown) => faultsOf(value, schema, all, 'spec').map((each) => `${each.field} ${each.message}`);
  it('has nothing against what fits', () => {
    expect(
      said({ replicas: 3, mode: 'a', env: [{ name: 'A' }], labels: { x: 'y' }, free: { z: [1] }, extra: undefined }),
    ).toEqual(['spec.extra is not known']);
    expect(said({ replicas: null })).toEqual([]);
  });
  it('names the field and what it should be', () => {
    expect(said({ replicas: 'many' })).toEqual(['spec.replicas must be a whole number, not "many"']);
    expect(said({ replicas: 12 })).toEqual(['spec.replicas must be at most 9']);
    expect(said({ mode: 'c' })).toEqual(['spec.mode must be one of a, b']);
    expect(said({ env: [{}] })).toEqual(['spec.env[0].name is required']);
    expect(said({ env: [{ name: 'a' }] })).toEqual(['spec.env[0].name must look like ^[A-Z]+$']);
    expect(said({ labels: { x: 1 } })).toEqual(['spec.labels.x must be a text, not 1']);
  });
  it('guesses what was meant', () => {
    expect(said({ replica: 1 })).toEqual(['spec.replica is not known; did you mean replicas?']);
    expect(said({ Mode: 'a' })).toEqual(['spec.Mode is not known; did you mean mode?']);
  });
});

describe('undoing', () => {
  const before = { spec: { replicas: 1, image: 'a', env: { A: '1' } } };
  const after = { spec: { replicas: 3, image: 'a', env: { A: '1', B: '2' } } };
  const patch = restored(after, before);
  it('takes back that change and nothing else', () => {
    expect(patch).toEqual({ spec: { replicas: 1, env: { B: null } } });
  });
  it('is refused where somebody changed the same since', () => {
    expect(untouched({ spec: { ...after.spec, image: 'b' } }, after, patch)).toBe(true);
    expect(untouched({ spec: { ...after.spec, replicas: 4 } }, after, patch)).toBe(false);
  });
  it('is not offered where it would be a lie', () => {
    const resource = { metadata: { name: 'k' } };
    const step = { kind: KEYS, verb: 'deleted', resource } as unknown as Step;
    expect(isUndoable(step)).toBe(false);
    expect(isUndoable({ ...step, kind: SERVICES })).toBe(true);
    expect(isUndoable({ ...step, verb: 'changed', before: resource })).toBe(true);
  });
});

describe('traffic', () => {
  const told = (requests: number, errors = 0, seconds = 0) => ({ from: '', to: 'web', requests, errors, seconds });
  it('begins with what comes now, not with what was counted before', () => {
    const pair = new Pair(told(1000, 10));
    expect(pair.tick()).toMatchObject({ rate: 0, errorRate: 0, tookMs: 0 });
    pair.hear(told(1004, 11, 0.02));
    expect(pair.tick()).toMatchObject({ rate: 2, errorRate: 0.5, tookMs: 5, trail: [0, 4] });
  });
  it('is not shaken by a conductor that starts anew', () => {
    const pair = new Pair(told(1000));
    pair.hear(told(3));
    expect(pair.tick().trail).toEqual([3]);
  });
  it('adds up what asks one service, and says how much fails', () => {
    const flow = {
      from: '',
      to: 'kms',
      rate: 2,
      errorRate: 1,
      tookMs: 10,
      trail: [1, 3],
      errorTrail: [0, 1],
      ejected: ['kms-1'],
    };
    const both = flowTo('kms', [flow, { ...flow, from: 's3', tookMs: 20, trail: [5] }, { ...flow, to: 'web' }])!;
    expect(both).toMatchObject({ rate: 4, errorRate: 2, tookMs: 15, trail: [1, 8], ejected: ['kms-1'] });
    expect(ejections(both)).toBe('1 instance ejected: kms-1');
    expect(ejections({ ejected: [] })).toBe('');
    expect([perSecond(0.04), perSecond(12.4), perSecond(1234)]).toEqual(['0.0/s', '12/s', '1.2k/s']);
    expect([errorShare(both), errorShare({ rate: 3, errorRate: 0 })]).toEqual(['50 % fail', '']);
  });
});

describe('use over time', () => {
  it('counts a copy from when it began', () => {
    expect(summed([[1, 2, 3], [10]])).toEqual([1, 2, 13]);
    const beat = { trails: { 'a-0': { cpu: [1], memory: [5] }, 'b-0': { cpu: [9], memory: [9] } } } as unknown as Beat;
    expect(usedBy(['a-0'], new Map([['oak', beat]]))).toEqual({ cpu: [1], memory: [5] });
  });
});

describe('joining', () => {
  it('gives the line that fits the cloud', () => {
    expect(lineFor({ swarm: false }, 'https://h', 't.s.p')).toBe(
      'AEREKOS_AGENT_TOKEN=t.s.p aerekos-agent --api https://h',
    );
    const line = lineFor({ swarm: true, url: 'https://m:7443', scriptSha256: 'abc' }, 'https://h', 't.s.p');
    expect(line).toContain('echo "abc  $f" | sha256sum -c --quiet && AEREKOS_JOIN_TOKEN=t.s.p sh $f https://m:7443');
  });
  it('follows each machine until it is ready', () => {
    const token = { metadata: { name: 't' }, status: { usedBy: ['a', 'b', 'c'] } } as Resource;
    const ready = { metadata: { name: 'c' }, status: { conditions: [{ type: 'Ready', status: 'True' }] } } as Worker;
    const found = arrivals(token, [ready], (name) => name !== 'a');
    expect(found.map((each) => each.step)).toEqual(['named', 'heard', 'ready']);
    expect(arrivals(undefined, [], () => false)).toEqual([]);
  });
});

describe('the audit log', () => {
  const line = (method: string, path: string, more: Partial<AuditLine> = {}): AuditLine => ({
    ...{ time: '', user: 'ada', groups: [], by: '', query: '', code: 200, from: '', userAgent: '', requestId: '' },
    ...{ method, path },
    ...more,
  });
  it('reads as sentences', () => {
    const services = '/apis/aerekos.cloud/v1/namespaces/default/services';
    expect(toldOf(line('PATCH', `${services}/web`))).toEqual({
      verb: 'changed',
      what: 'services / web',
      to: '/ui/services/default/web',
    });
    expect(toldOf(line('DELETE', `${services}/web`)).to).toBe('');
    expect(toldOf(line('PUT', `${services}/web`, { query: 'dryRun=All' })).what).toContain('(dry run)');
    expect(toldOf(line('POST', '/api/v1/namespaces/default/pods/web-0/exec'))).toMatchObject({
      verb: 'ran a command in',
      what: 'web-0',
    });
    expect(toldOf(line('POST', '/auth/login')).verb).toBe('logged in');
    const refused = { user: '', code: 401 };
    expect(toldOf(line('POST', '/auth/login', { ...refused, login: 'bob' }))).toMatchObject({
      verb: 'could not log in',
      what: 'as bob',
    });
    expect(toldOf(line('POST', '/auth/login', refused)).what).toBe('');
    expect(toldOf(line('PUT', '/services/storage-manager/b/k'))).toMatchObject({
      what: '/services/storage-manager/b/k',
    });
  });
  it('names what was called of AWS, and to what', () => {
    const read = { action: 'secretsmanager:GetSecretValue', resource: 'arn:aws:secretsmanager:eu:1:secret:db-aBcDeF' };
    expect(toldOf(line('POST', '/services/secrets-manager/', read))).toEqual({
      verb: 'called',
      what: `${read.action} ${read.resource}`,
      to: '',
    });
    expect(isAbout(read.resource, 'arn:aws:secretsmanager:us:1:secret:db-aBcDeF')).toBe(true);
    expect(isAbout('arn:aws:secretsmanager:us:1:secret:db', read.resource)).toBe(true);
    expect(isAbout('arn:aws:kms:us:1:key/a', 'arn:aws:kms:eu:1:key/a')).toBe(true);
    for (const other of [undefined, '', 'db', 'arn:aws:secretsmanager:eu:2:secret:db', 'arn:aws:kms:eu:1:secret:db'])
      expect(isAbout(other, read.resource)).toBe(false);
    expect(isAbout('arn:aws:kms:eu:1:key', 'arn:aws:kms:eu:1:key/abcdef')).toBe(false);
  });
  it('is searched, and leaves out what the house does', () => {
    const lines = [
      line('POST', '/a'),
      line('POST', '/b', { user: 'system:service:s3' }),
      line('POST', '/c', { code: 403 }),
    ];
    expect(matching(lines, '', 'people').map((each) => each.path)).toEqual(['/a', '/c']);
    expect(matching(lines, '', 'refused').map((each) => each.path)).toEqual(['/c']);
    expect(matching(lines, 'S3', 'all').map((each) => each.path)).toEqual(['/b']);
  });
});

describe('single keys', () => {
  it('open the faces of what one looks at', () => {
    expect(tabPage('/ui/services/default/web', 'e')).toBe('/ui/services/default/web/yaml');
    expect(tabPage('/ui/services/default/web/yaml', 'l')).toBe('/ui/services/default/web/logs');
    expect(tabPage('/ui/services/default/web/logs', 'o')).toBe('/ui/services/default/web');
    expect(tabPage('/ui/workers/-/oak', 'l')).toBeNull();
    expect(tabPage('/ui/workers/-/oak', 'e')).toBe('/ui/workers/-/oak/yaml');
    expect(tabPage('/ui/services', 'e')).toBeNull();
  });
});

describe('the palette', () => {
  const web = { metadata: { name: 'web', namespace: 'default' }, spec: { image: 'x' } } as Service;
  const oak = { metadata: { name: 'oak' }, spec: {} } as Worker;
  const others = [
    { kind: BUCKETS, resource: { metadata: { name: 'holiday', namespace: 'default' } } },
    { kind: KEYS, resource: { metadata: { name: 'payments', namespace: 'acme' } } },
    {
      kind: KEYS,
      resource: { metadata: { name: '0f9c-11', namespace: 'acme' }, status: { aliases: ['alias/aws/s3'] } },
    },
  ];
  const all: Powers = {
    services: true,
    workers: true,
    exec: true,
    join: true,
    audit: true,
    create: [SERVICES, BUCKETS, SECRETS, USERS],
  };
  const none: Powers = { services: false, workers: false, exec: false, join: false, audit: false, create: [] };
  const commands = (may: Powers) =>
    commandsFor({ services: [web], workers: [oak], kinds: [], catalog: [], others, may });
  const names = (may: Powers, typed: string) => ranked(commands(may), typed).map((each) => each.name);
  it('knows the verbs of the CLI and of kubectl', () => {
    for (const [typed, name] of [
      ['describe web', 'Open web'],
      ['exec web', 'Terminal in web'],
      ['rollout undo web', 'Roll back web'],
      ['token create', 'Join a machine'],
      ['worker remove oak', 'Remove worker oak'],
      ['drain oak', 'Drain oak'],
      ['kubeconfig', 'Go to Settings'],
      ['status', 'Go to Home'],
      ['holiday', 'Open bucket holiday'],
      ['payments', 'Open key payments'],
      ['alias/aws', 'Open key alias/aws/s3'],
      ['0f9c', 'Open key alias/aws/s3'],
      ['deploy', 'New service'],
      ['upload', 'Go to Buckets'],
      ['invite', 'New user'],
      ['password', 'Go to Settings'],
      ['help', 'Keyboard shortcuts'],
    ] as const)
      expect(names(all, typed)[0], typed).toBe(name);
  });
  it('offers to make one of each kind that is allowed', () => {
    const made = names(all, 'new').filter((name) => name.startsWith('New '));
    expect(made.sort()).toEqual(['New bucket', 'New secret', 'New service', 'New user']);
    expect(names(none, 'new').filter((name) => name.startsWith('New '))).toEqual([]);
  });
  it('scales by typing a number', () => {
    expect(scaling('scale we 3', [web]).map((each) => each.name)).toEqual(['Scale web to 3']);
    expect(scaling('scale we', [web])[0]?.name).toBe('Scale web to …');
    expect(scaling('web 3', [web])).toEqual([]);
  });
  it('offers nothing that is not allowed, and what takes away last', () => {
    const looking = ['Open web', 'Logs of web', 'YAML of web', 'Go to Webhooks', 'History of web'];
    expect(names(none, 'web')).toEqual(looking);
    expect(names(all, 'web').at(-1)).toBe('Delete web');
  });
});

it('knows what runs on a machine', () => {
  const service = {
    metadata: { name: 'web', namespace: 'acme' },
    spec: {},
    status: {
      instances: [
        { name: 'web-0', worker: 'oak' },
        { name: 'web-1', worker: 'elm' },
      ],
    },
  } as Service;
  expect(copiesOn('oak', [service])).toEqual([{ name: 'web-0', namespace: 'acme', service: 'web' }]);
});
