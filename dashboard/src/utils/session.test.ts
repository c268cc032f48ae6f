import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

type Answer = (path: string, body: any) => Response | Promise<Response>;
let answer: Answer;
const asked: { path: string; authorization?: string; key?: string; body: any }[] = [];

/** Fresh modules: the token lives in one of them. */
async function modules() {
  vi.resetModules();
  return {
    ...(await import('./session')),
    ...(await import('./api')),
    ...(await import('./actions')),
    ...(await import('./toasts')),
    resources: await import('./resources'),
  };
}

const pair = (token: string, expiresIn = 900) => Response.json({ accessToken: token, expiresIn });
const refused = (code: number, message: string) =>
  Response.json({ kind: 'Status', code, reason: 'R', message }, { status: code });
const who = { name: 'ann', groups: ['aerekos:editor'], namespace: 'default' };

beforeEach(() => {
  asked.length = 0;
  // Modules of earlier tests are tabs of this browser, too.
  vi.stubGlobal('BroadcastChannel', undefined);
  vi.stubGlobal('fetch', async (path: string, options: any = {}) => {
    const body = options.body ? JSON.parse(options.body) : undefined;
    asked.push({
      path,
      authorization: options.headers?.authorization,
      key: options.headers?.['x-aerekos-refresh-key'],
      body,
    });
    return answer(path, body);
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('the session', () => {
  it('asks for a cookie, and keeps no token where it could be read', async () => {
    const { logIn, session } = await modules();
    answer = (path) => (path === '/auth/login' ? pair('secret-token') : Response.json(who));
    await logIn('ann', 'password');
    expect(session.get()).toEqual({ state: 'in', who });
    expect(asked[0]?.body).toEqual({ username: 'ann', password: 'password', cookie: true });
    expect(JSON.stringify([{ ...localStorage }, { ...sessionStorage }])).not.toContain('secret-token');
  });

  it('sends the code of a second factor when there is one, and hears by a word that it must', async () => {
    const { logIn } = await modules();
    answer = (path, body) =>
      path !== '/auth/login'
        ? Response.json(who)
        : body.code
          ? pair('t')
          : Response.json({ kind: 'Status', code: 401, reason: 'TotpRequired', message: 'm' }, { status: 401 });
    await expect(logIn('ann', 'password')).rejects.toMatchObject({ code: 401, reason: 'TotpRequired' });
    await logIn('ann', 'password', '123456');
    expect(asked[1]?.body).toEqual({ username: 'ann', password: 'password', cookie: true, code: '123456' });
  });

  it('keeps the key of its cookie in this origin, sends it back, and forgets it on leaving', async () => {
    const { logIn, logOut, freshToken } = await modules();
    answer = (path) =>
      path === '/auth/login'
        ? Response.json({ accessToken: 'a', expiresIn: 1, refreshKey: 'half' })
        : path === '/auth/refresh'
          ? pair('b')
          : Response.json(who);
    await logIn('ann', 'password');
    await freshToken();
    expect(asked.find((each) => each.path === '/auth/refresh')?.key).toBe('half');
    await logOut();
    expect(asked.at(-1)).toMatchObject({ path: '/auth/logout', authorization: 'Bearer b', key: 'half' });
    expect(localStorage.length).toBe(0);
  });

  it('takes an answer without a token for nobody, without a fault', async () => {
    const { restore, session } = await modules();
    answer = () => new Response(null, { status: 204 });
    await restore(new AbortController().signal);
    expect(session.get()).toEqual({ state: 'out', because: undefined });
    expect(asked.map(({ path }) => path)).toEqual(['/auth/refresh']);
  });

  it('ends in every tab when one signs out, and begins in every tab', async () => {
    vi.unstubAllGlobals();
    vi.stubGlobal('fetch', async (path: string) =>
      path === '/auth/logout'
        ? new Response(null, { status: 204 })
        : path === '/auth/whoami'
          ? Response.json(who)
          : pair('t'),
    );
    const [one, other] = [await modules(), await modules()];
    await one.logIn('ann', 'password');
    await other.logIn('ann', 'password');
    await one.logOut();
    await vi.waitFor(() =>
      expect(other.session.get()).toMatchObject({ state: 'out', because: expect.stringContaining('another tab') }),
    );
    await expect(other.freshToken()).resolves.toBe('t'); // it has none left in memory, so it asks
    await one.logIn('ann', 'password');
    await vi.waitFor(() => expect(other.session.get().state).toBe('in'));
  });

  it('comes in with a one-time password only by choosing another', async () => {
    const { logIn, session, MustChoose } = await modules();
    let current = 'one-time';
    answer = (path, body) => {
      if (path === '/auth/password') current = body.password;
      if (path !== '/auth/login')
        return path === '/auth/password' ? new Response(null, { status: 204 }) : Response.json(who);
      return Response.json({ accessToken: 'r', expiresIn: 900, passwordChangeRequired: current === 'one-time' });
    };
    await expect(logIn('ann', 'one-time')).rejects.toBeInstanceOf(MustChoose);
    expect(session.get().state).not.toBe('in');
    await logIn('ann', 'one-time', '', 'chosen by ann');
    expect(asked.map((each) => each.path)).toContain('/auth/password');
    expect(session.get()).toEqual({ state: 'in', who });
  });

  it('renews once for many who ask at the same time', async () => {
    const { ask } = await modules();
    answer = (path) => (path === '/auth/refresh' ? pair('fresh') : Response.json({}));
    await Promise.all([ask('/apis/a'), ask('/apis/b'), ask('/apis/c')]);
    expect(asked.filter((each) => each.path === '/auth/refresh')).toHaveLength(1);
    expect(asked.filter((each) => each.authorization === 'Bearer fresh')).toHaveLength(3);
  });

  it('renews before the token ends', async () => {
    vi.useFakeTimers({ now: 0, toFake: ['Date'] });
    const { ask } = await modules();
    let number = 0;
    answer = (path) => (path === '/auth/refresh' ? pair(`t${(number += 1)}`) : Response.json({}));
    await ask('/apis/a');
    vi.setSystemTime(850_000);
    await ask('/apis/a');
    expect(asked.at(-1)?.authorization).toBe('Bearer t2');
  });

  it('tries once more when the API says 401', async () => {
    const { ask } = await modules();
    let number = 0;
    answer = (path) => {
      if (path === '/auth/refresh') return pair(`t${(number += 1)}`);
      return number < 2 ? refused(401, 'the token is not valid') : Response.json({ fine: true });
    };
    expect(await ask('/apis/a')).toEqual({ fine: true });
  });

  it('ends with a reason when it cannot be renewed', async () => {
    const { ask, session } = await modules();
    answer = () => refused(401, 'nobody is logged in');
    await expect(ask('/apis/a')).rejects.toThrow('nobody is logged in');
    expect(session.get()).toEqual({ state: 'out', because: 'Your session ended. Log in again.' });
  });

  it('says why it ended once: what was asked before and is refused after changes no word', async () => {
    const { logIn, freshToken, logOut, session } = await modules();
    answer = (path) => (path === '/auth/login' ? pair('first') : Response.json(who));
    await logIn('ann', 'password');
    let refuse: (answer: Response) => void = () => undefined;
    answer = (path) => (path === '/auth/refresh' ? new Promise<Response>((done) => (refuse = done)) : pair('x'));
    const renewing = freshToken(true);
    await logOut('You signed out.');
    refuse(refused(401, 'this session ended'));
    await expect(renewing).rejects.toThrow('this session ended');
    expect(session.get()).toEqual({ state: 'out', because: 'You signed out.' });
  });

  it('does not end because the cloud is away', async () => {
    const { ask, session } = await modules();
    answer = () => Promise.reject(new TypeError('network'));
    await expect(ask('/apis/a')).rejects.toThrow('the cloud does not answer');
    expect(session.get().state).toBe('asking');
  });

  it('waits for a cloud that does not answer, and goes on by itself', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const { restore, session } = await modules();
    let failures = 0;
    answer = (path) => {
      if ((failures += 1) <= 2) return Promise.reject(new TypeError('network'));
      return path === '/auth/refresh' ? pair('t') : Response.json(who);
    };
    const leaving = new AbortController();
    const restoring = restore(leaving.signal);
    await vi.waitFor(() => expect(session.get()).toMatchObject({ trouble: expect.stringContaining('not answer') }));
    await restoring;
    expect(session.get()).toEqual({ state: 'in', who });
  });

  it('repeats what may be repeated when the network changes under it, and nothing else', async () => {
    const { ask } = await modules();
    let failures = 0;
    answer = (path) => {
      if (path === '/auth/refresh') return pair('t');
      return (failures += 1) % 2 ? Promise.reject(new TypeError('network')) : Response.json({ fine: true });
    };
    expect(await ask('/apis/a')).toEqual({ fine: true });
    await expect(ask('/apis/a', { method: 'POST', body: {} })).rejects.toThrow('the cloud does not answer');
    expect(failures).toBe(3);
  });
});

describe('an action', () => {
  const service = {
    metadata: { name: 'a', namespace: 'default', resourceVersion: '3' },
    spec: { image: 'x', enabled: true },
    status: { phase: 'Ready' },
  };

  it('shows its result at once, and takes it back with the reason when it is refused', async () => {
    const { setEnabled, allOf, toasts, resources } = await modules();
    const mirror = allOf<typeof service>(resources.SERVICES);
    mirror.learn(service);
    let let_go = () => {};
    const waiting = new Promise<void>((resolve) => (let_go = resolve));
    answer = async (path) => {
      if (path === '/auth/refresh') return pair('t');
      await waiting;
      return refused(403, 'services "a" is forbidden');
    };
    const going = setEnabled(service, false);
    await vi.waitFor(() => expect(mirror.view.get().items[0]?.spec.enabled).toBe(false));
    let_go();
    expect(await going).toBe(false);
    await vi.waitFor(() => expect(mirror.view.get().items[0]?.spec.enabled).toBe(true));
    expect(toasts.get().at(-1)?.text).toBe('Reverted: services "a" is forbidden');
  });

  it('keeps what the server answered', async () => {
    const { scale, allOf, resources } = await modules();
    const mirror = allOf<any>(resources.SERVICES);
    mirror.learn(service);
    const written = { ...service, metadata: { ...service.metadata, resourceVersion: '4' }, spec: { replicas: 3 } };
    answer = (path) => (path === '/auth/refresh' ? pair('t') : Response.json(written));
    expect(await scale(service, 3)).toBe(true);
    await vi.waitFor(() => expect(mirror.view.get().items[0]).toEqual(written));
    expect(asked.at(-1)).toMatchObject({
      path: expect.stringMatching(/services\/a$/),
      body: { spec: { replicas: 3 } },
    });
  });
});

it('never writes down the values of a secret', async () => {
  const { toYaml } = await import('./yaml');
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { password: 'aHVudGVyMg==' } };
  expect(toYaml(secret)).not.toContain('aHVudGVyMg');
  expect(toYaml(secret)).toContain('password: (hidden)');
});
