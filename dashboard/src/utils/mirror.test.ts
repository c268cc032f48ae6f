import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Mirror } from './mirror';
import type { Resource } from './resources';

/** A server made of what the test says; the mirror talks to it through the browser's own doors. */
class FakeSocket {
  static opened: FakeSocket[] = [];
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: (event: { code: number }) => void;
  constructor(
    readonly url: URL,
    readonly protocols: string[],
  ) {
    FakeSocket.opened.push(this);
  }
  says(type: string, object: unknown): void {
    this.onmessage?.({ data: JSON.stringify({ type, object }) });
  }
  close(): void {}
}

const item = (name: string, version: number, replicas = 1): Resource => ({
  metadata: { name, resourceVersion: String(version) },
  spec: { replicas },
});
let lists: { items: Resource[]; version: string }[];
let mirror: Mirror<Resource>;
const asked: string[] = [];

const socket = () => FakeSocket.opened.at(-1)!;
const names = () => mirror.view.get().items.map((each) => each.metadata.name);

async function until(holds: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(holds()).toBe(true), { timeout: 3000, interval: 5 });
}

beforeEach(async () => {
  FakeSocket.opened = [];
  asked.length = 0;
  lists = [{ items: [item('a', 3), item('b', 4)], version: '7' }];
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    if (path === '/auth/refresh') return Response.json({ accessToken: 'token', expiresIn: 900 });
    const { items, version } = lists.length > 1 ? lists.shift()! : lists[0]!;
    return Response.json({ metadata: { resourceVersion: version }, items });
  });
  vi.spyOn(Math, 'random').mockReturnValue(0);
  vi.resetModules();
  const module = await import('./mirror');
  mirror = new module.Mirror<Resource>('/apis/x/v1/things');
});
afterEach(() => {
  mirror.stop();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function live(): Promise<void> {
  mirror.use();
  await until(() => FakeSocket.opened.length === 1);
  socket().onopen?.();
}

describe('a mirror', () => {
  it('lists, then watches from that revision on, with the token out of the address', async () => {
    await live();
    expect(names()).toEqual(['a', 'b']);
    expect(mirror.view.get().state).toBe('live');
    expect(socket().url.searchParams.get('resourceVersion')).toBe('7');
    expect(socket().url.href).not.toContain('token');
    expect(socket().protocols[1]).toMatch(/^base64url\.bearer\.authorization\.k8s\.io\./);
  });

  it('follows every change', async () => {
    await live();
    socket().says('ADDED', item('c', 8));
    socket().says('DELETED', item('a', 9));
    socket().says('MODIFIED', item('b', 10, 5));
    await until(() => names().join() === 'b,c');
    expect(mirror.view.get().items[0]?.spec.replicas).toBe(5);
  });

  it('goes on from where it was when the connection is lost, and says so meanwhile', async () => {
    await live();
    socket().says('ADDED', item('c', 12));
    socket().onclose?.({ code: 1006 });
    await until(() => mirror.view.get().state === 'reconnecting');
    expect(names()).toEqual(['a', 'b', 'c']);
    await until(() => FakeSocket.opened.length === 2);
    expect(socket().url.searchParams.get('resourceVersion')).toBe('12');
    expect(asked.filter((path) => path.startsWith('/apis'))).toHaveLength(1);
  });

  it('reads everything again when its revision is gone from the history', async () => {
    lists.push({ items: [item('z', 90)], version: '99' });
    await live();
    socket().says('ERROR', { code: 410, reason: 'Expired', message: 'too old resource version: 7 (40)' });
    socket().onclose?.({ code: 1000 });
    await until(() => names().join() === 'z');
  });

  it('stops at a refusal and keeps its words', async () => {
    await live();
    socket().says('ERROR', { code: 403, reason: 'Forbidden', message: 'things is forbidden' });
    socket().onclose?.({ code: 4403 });
    await until(() => mirror.view.get().state === 'refused');
    expect(mirror.view.get().error?.message).toBe('things is forbidden');
  });

  it('shows a wish at once and takes it back', async () => {
    await live();
    const takeBack = mirror.pretend('/a', (real) => (real ? { ...real, spec: { replicas: 9 } } : null));
    await until(() => mirror.view.get().items[0]?.spec.replicas === 9);
    takeBack();
    await until(() => mirror.view.get().items[0]?.spec.replicas === 1);
  });

  it('paints many changes of a moment once', async () => {
    await live();
    let paints = 0;
    mirror.view.subscribe(() => (paints += 1));
    for (let version = 8; version < 208; version += 1) socket().says('MODIFIED', item('a', version, version));
    await until(() => mirror.view.get().items[0]?.spec.replicas === 207);
    expect(paints).toBeLessThanOrEqual(2);
  });

  it('never lets an older answer replace a newer event', async () => {
    await live();
    socket().says('MODIFIED', item('a', 20, 2));
    mirror.learn(item('a', 15, 7));
    await Promise.resolve();
    expect(mirror.view.get().items[0]?.spec.replicas).toBe(2);
  });
});
