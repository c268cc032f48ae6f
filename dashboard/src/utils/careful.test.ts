import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const patched: { path: string; body: unknown }[] = [];
const service = (name: string, needs: string[] = [], spec = {}) => ({
  metadata: { name, namespace: 'default', resourceVersion: '1' },
  spec: { needs, enabled: true, replicas: 1, ...spec },
  status: {},
});

async function modules() {
  vi.resetModules();
  const found = {
    ...(await import('./careful')),
    ...(await import('./questions')),
    ...(await import('./actions')),
    ...(await import('./catalog')),
    ...(await import('./session')),
    ...(await import('./resources')),
  };
  const know = (...services: any[]) => services.forEach((each) => found.allOf(found.SERVICES).learn(each));
  return { ...found, know };
}

beforeEach(() => {
  patched.length = 0;
  vi.stubGlobal('BroadcastChannel', undefined);
  vi.stubGlobal('fetch', async (path: string, options: any = {}) => {
    if (path.startsWith('/auth')) return Response.json({ accessToken: 't', expiresIn: 900, name: 'ann', groups: [] });
    patched.push({ path, body: JSON.parse(options.body) });
    return Response.json(service('kms'));
  });
});
afterEach(() => vi.unstubAllGlobals());

describe('who depends on a service', () => {
  it('is told through others too, in its namespace, and not what is off', async () => {
    const { dependentsOf } = await modules();
    const kms = service('kms') as any;
    const far = { ...service('far', ['kms']), metadata: { name: 'far', namespace: 'elsewhere' } };
    const all = [kms, service('s3', ['kms']), service('web', ['s3']), service('off', ['kms'], { enabled: false }), far];
    expect(dependentsOf(kms, all as any, [])).toEqual(['s3', 'web']);
    expect(dependentsOf(all[2], all as any, [])).toEqual([]);
  });
  it('is known of managed services from the catalog, and a circle ends', async () => {
    const { dependentsOf } = await modules();
    const [a, b] = [service('a', ['b']), service('b', [], { managed: 'b_kind' })];
    const offered = [{ managed: 'b_kind', needs: ['a'] }] as any;
    expect(dependentsOf(a as any, [a, b] as any, offered)).toEqual(['b']);
  });
  it('is listed so that it can be read', async () => {
    const { listed } = await modules();
    expect([listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c', 'd', 'e'])]).toEqual([
      'a',
      'a and b',
      'a, b, c and 2 more',
    ]);
  });
});

describe('what others depend on', () => {
  it.each([
    ['disabling', 'enableOrDisable', [false], { spec: { enabled: false } }],
    ['scaling to nothing', 'scaleTo', [0], { spec: { replicas: 0 } }],
    ['restarting', 'restartIt', [], { metadata: { annotations: expect.anything() } }],
  ] as const)('is asked for before %s, by name', async (_, act, more, body) => {
    const found = await modules();
    const kms = service('kms');
    found.know(kms, service('s3', ['kms']), service('web', ['s3']));
    (found[act] as any)(kms, ...more);
    expect(patched).toEqual([]);
    expect(found.question.get()?.what).toContain('s3 and web need kms');
    found.answer(false);
    expect(patched).toEqual([]);
    (found[act] as any)(kms, ...more);
    found.answer(true);
    await vi.waitFor(() => expect(patched.map((each) => each.body)).toEqual([body]));
  });

  it('is not asked for where nobody does, nor when something is enabled or scaled up', async () => {
    const found = await modules();
    const [kms, web] = [service('kms') as any, service('web', ['kms']) as any];
    found.know(kms, web);
    found.enableOrDisable(web, false);
    found.enableOrDisable(kms, true);
    found.scaleTo(kms, 2);
    expect(found.question.get()).toBeNull();
    await vi.waitFor(() => expect(patched).toHaveLength(3));
  });
});

it('asks before somebody disables themselves, and nobody else', async () => {
  const found = await modules();
  found.session.set({ state: 'in', who: { name: 'ann', groups: [], namespace: 'default' } });
  found.letInOrNot({ metadata: { name: 'ann' }, spec: {} }, true);
  expect(patched).toEqual([]);
  expect(found.question.get()?.title).toBe('Disable yourself?');
  found.answer(true);
  await vi.waitFor(() => expect(patched.map((each) => each.body)).toEqual([{ spec: { disabled: true } }]));
  found.letInOrNot({ metadata: { name: 'bob' }, spec: {} }, true);
  expect(found.question.get()).toBeNull();
});
