import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { newestFirst } from './events';
import { fieldsOf, skeleton } from './discovery';
import { hintsFor } from './editing';
import { firstSteps } from './firstSteps';
import { CONFIG_MAPS, KEYS, SECRETS } from './resources';
import { toYaml } from './yaml';

const text = { type: 'string' };
const map = { type: 'object', additionalProperties: text };
const secret = {
  schema: {
    type: 'object',
    properties: { apiVersion: text, kind: text, metadata: {}, type: text, data: map, stringData: map },
  },
  all: {},
};

describe('a new secret', () => {
  it('begins with something that has no fault, in plain text', () => {
    const made = skeleton(SECRETS, fieldsOf(secret));
    expect(made).toMatchObject({ kind: 'Secret', type: 'Opaque', stringData: { password: expect.any(String) } });
    expect(made).not.toHaveProperty('spec');
    const code = toYaml(made as any, made as any);
    expect(code).not.toContain('(hidden)');
    expect(hintsFor(code, secret)).toBeNull();
  });
  it('has fields of its own, not of a spec', () => {
    expect(fieldsOf(secret).map((each) => each.path)).toEqual(['type', 'data', 'stringData']);
  });
});

it('begins other kinds with what their schema asks for', () => {
  const key = {
    schema: { properties: { spec: { properties: { usage: text, days: { type: 'integer' } }, required: ['days'] } } },
    all: {},
  };
  expect(skeleton(KEYS, fieldsOf(key)).spec).toEqual({ days: 0 });
  expect(skeleton(CONFIG_MAPS, fieldsOf(secret))).not.toHaveProperty('spec');
  const binding = {
    schema: { properties: { roleRef: { type: 'object' }, subjects: { type: 'array' } }, required: ['roleRef'] },
    all: {},
  };
  const made = skeleton({ ...KEYS, kind: 'RoleBinding' }, fieldsOf(binding));
  expect([made.roleRef, 'spec' in made, 'subjects' in made]).toEqual([{}, false, false]);
});

it('shows events newest first; within a second, as they were written', () => {
  const event = (name: string, at: string, resourceVersion: string) => ({
    metadata: { name, resourceVersion },
    lastTimestamp: at,
  });
  const events = [
    event('a', '2026-01-01T00:00:01Z', '9'),
    event('b', '2026-01-01T00:00:05Z', '3'),
    event('c', '2026-01-01T00:00:05Z', '11'),
  ];
  expect(newestFirst(events).map((each) => each.metadata.name)).toEqual(['c', 'b', 'a']);
});

describe('first steps', () => {
  const named = (name: string, more = {}) => ({ metadata: { name }, spec: {}, ...more }) as any;
  const fresh = {
    buckets: [],
    keys: [named('s3-default', { spec: { description: 'Default key of s3' } })],
    services: [
      named('key-manager', { spec: { managed: 'key_manager' } }),
      named('example-web', { spec: { image: 'x' } }),
    ],
    users: [named('admin')],
    workers: [named('vm')],
  };
  const done = (present: typeof fresh) =>
    firstSteps(present)
      .filter((each) => each.done)
      .map((each) => each.id);
  it('are all left in a cloud that has only what it made itself', () => {
    expect(done(fresh)).toEqual([]);
    expect(firstSteps(fresh)).toHaveLength(5);
  });
  it('are done one by one', () => {
    const used = {
      buckets: [named('b', { status: { objects: 1 } })] as any,
      keys: [...fresh.keys, named('mine')],
      services: [...fresh.services, named('web', { spec: { command: ['x'] } })],
      users: [...fresh.users, named('bob')],
      workers: [...fresh.workers, named('oak')],
    };
    expect(done(used)).toEqual(['file', 'key', 'service', 'user', 'worker']);
    expect(done({ ...used, buckets: [named('empty', { status: { objects: 0 } })] as any })).not.toContain('file');
  });
});

describe('a service out of a template', () => {
  const asked: { method: string; path: string; body: any }[] = [];
  let refuse = '';
  beforeEach(() => {
    asked.length = 0;
    refuse = '';
    vi.resetModules();
    vi.stubGlobal('BroadcastChannel', undefined);
    vi.stubGlobal('fetch', async (path: string, { method = 'GET', body = '{}' }: any = {}) => {
      if (path.startsWith('/auth')) return Response.json({ accessToken: 't', expiresIn: 900 });
      const sent = JSON.parse(body);
      asked.push({ method, path: path.split('?')[0]!, body: sent });
      if (path.startsWith('/templates')) {
        const item = (kind: string, name: string) => ({ kind, metadata: { name, namespace: 'default' } });
        return Response.json({ items: [item('ConfigMap', 'web-files'), item('Service', 'web')] });
      }
      if (method === 'POST' && sent.kind === refuse)
        return Response.json(
          { kind: 'Status', code: 409, reason: 'AlreadyExists', message: 'exists' },
          { status: 409 },
        );
      return Response.json({ ...sent, metadata: { ...sent.metadata, uid: `uid of ${sent.kind}` } });
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  it('is made with all it needs, in order, and leaves out what was left empty', async () => {
    const { makeFrom } = await import('./templates');
    const made = await makeFrom('static-site', 'web', 'default', { page: '<h1>', replicas: '' });
    expect(made).toMatchObject({ kind: 'Service', metadata: { name: 'web' } });
    expect(asked[0]?.body).toEqual({ name: 'web', namespace: 'default', parameters: { page: '<h1>' } });
    expect(asked.slice(1).map((each) => each.body.kind)).toEqual(['ConfigMap', 'Service']);
  });

  it('leaves nothing behind when a part is refused', async () => {
    const { makeFrom } = await import('./templates');
    refuse = 'Service';
    await expect(makeFrom('static-site', 'web', 'default', {})).rejects.toMatchObject({ code: 409 });
    const last = asked.at(-1)!;
    expect([last.method, last.path]).toEqual(['DELETE', '/api/v1/namespaces/default/configmaps/web-files']);
    expect(last.body).toEqual({ preconditions: { uid: 'uid of ConfigMap' } });
  });
});
