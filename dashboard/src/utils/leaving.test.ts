import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { draftKey, dropDraft, forgetDrafts, keepDraft, keepDraftsOf, readDraft } from './drafts';
import { hold } from './leaving';
import { lookForNewer, newerBuild } from './newer';
import { NewerDashboard, persistently } from './lazily';
import { answer, question } from './questions';
import { go, path, query, setQuery } from './routes';
import { send, uploads } from './uploads';

const held = { title: 'Leave?', what: 'w', scope: 'page' as const };
let release = () => {};

beforeEach(() => {
  window.history.replaceState(null, '', '/ui/services');
  dispatchEvent(new PopStateEvent('popstate'));
});
afterEach(() => {
  release();
  answer(false);
  forgetDrafts();
  vi.unstubAllGlobals();
});

describe('leaving a page with unsaved edits', () => {
  it('is asked about, and goes on only after a yes', () => {
    release = hold(held);
    go('/ui/keys');
    expect([path.get(), question.get()?.title]).toEqual(['/ui/services', 'Leave?']);
    answer(false);
    expect(path.get()).toBe('/ui/services');
    go('/ui/keys');
    answer(true);
    expect([path.get(), question.get()]).toEqual(['/ui/keys', null]);
  });
  it('is asked about at Back too, which comes back meanwhile', () => {
    release = hold(held);
    window.history.pushState(null, '', '/ui/users');
    dispatchEvent(new PopStateEvent('popstate'));
    expect([path.get(), window.location.pathname]).toEqual(['/ui/services', '/ui/services']);
    answer(true);
    expect([path.get(), window.location.pathname]).toEqual(['/ui/users', '/ui/users']);
  });
  it('is not asked about when only the tab is held, but closing it is', () => {
    release = hold({ ...held, scope: 'tab' });
    go('/ui/keys');
    expect(path.get()).toBe('/ui/keys');
    const closing = new Event('beforeunload', { cancelable: true });
    dispatchEvent(closing);
    expect(closing.defaultPrevented).toBe(true);
    release();
    const again = new Event('beforeunload', { cancelable: true });
    dispatchEvent(again);
    expect(again.defaultPrevented).toBe(false);
  });
});

describe('an upload', () => {
  it('goes on while one looks at other screens; only closing the tab asks', async () => {
    let finish = () => {};
    vi.stubGlobal(
      'XMLHttpRequest',
      class {
        upload = {};
        status = 200;
        onload = () => {};
        open() {}
        setRequestHeader() {}
        getResponseHeader() {
          return '"etag"';
        }
        send() {
          finish = () => this.onload();
        }
      },
    );
    vi.stubGlobal('fetch', async () => Response.json({ accessToken: 't', expiresIn: 900 }));
    const closing = () => {
      const event = new Event('beforeunload', { cancelable: true });
      dispatchEvent(event);
      return event.defaultPrevented;
    };
    const sent = send('holiday', 'a/', [{ path: 'b.txt', file: new File(['x'], 'b.txt') }]);
    await vi.waitFor(() => expect(finish.toString()).toContain('onload'));
    expect(uploads.get()).toMatchObject([{ bucket: 'holiday', key: 'a/b.txt' }]);
    expect(closing()).toBe(true);
    go('/ui/keys');
    expect(path.get()).toBe('/ui/keys');
    finish();
    await sent;
    expect([uploads.get(), closing()]).toEqual([[], false]);
  });
});

describe('drafts', () => {
  const started = { kind: 'Service', metadata: { name: 'web' } };
  const key = draftKey('services', 'default', 'web');
  it('are kept until they are applied', () => {
    keepDraft(key, { code: 'x: 1', started, at: 7 });
    expect(readDraft(key)).toEqual({ code: 'x: 1', started, at: 7 });
    dropDraft(key);
    expect(readDraft(key)).toBeNull();
  });
  it('of secrets are never written down', () => {
    keepDraft(key, { code: 'password: hunter2', started: { kind: 'Secret', metadata: { name: 'p' } }, at: 7 });
    expect(readDraft(key)?.code).toContain('hunter2');
    expect(JSON.stringify([{ ...sessionStorage }, { ...localStorage }])).not.toContain('hunter2');
  });
  it('wait for their author, and for nobody else', () => {
    keepDraftsOf('ann');
    keepDraft(key, { code: 'x', started, at: 7 });
    keepDraftsOf('ann');
    expect(readDraft(key)).not.toBeNull();
    keepDraftsOf('bob');
    expect(readDraft(key)).toBeNull();
  });
});

describe('the address', () => {
  it('holds what a screen shows, without a step for Back', () => {
    const steps = window.history.length;
    setQuery('q', 'a b');
    setQuery('sort', '-Name');
    expect([window.location.search, query.get()]).toEqual(['?q=a+b&sort=-Name', '?q=a+b&sort=-Name']);
    setQuery('q', '');
    expect([window.location.search, window.history.length]).toEqual(['?sort=-Name', steps]);
    go('/ui/keys');
    expect([window.location.pathname, query.get()]).toEqual(['/ui/keys', '']);
    go('/ui/services?show=trouble');
    expect([path.get(), query.get()]).toEqual(['/ui/services', '?show=trouble']);
  });
});

describe('a screen that could not be fetched', () => {
  const served = (script: string) =>
    vi.stubGlobal('fetch', async () => new Response(`<script src="${script}"></script>`));
  const failing = () => Promise.reject(new TypeError('Importing a module script failed.'));
  beforeEach(() => {
    newerBuild.set(false);
    document.head.innerHTML = '<script type="module" src="/assets/index-old.js"></script>';
  });
  it('is fetched again after an outage', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    let tries = 0;
    const load = () => (++tries < 7 ? failing() : Promise.resolve('the screen'));
    expect(await persistently(load, () => Promise.resolve())).toBe('the screen');
  });
  it('is of an older build when another one is served', async () => {
    served('/assets/index-new.js');
    await expect(persistently(failing, () => Promise.resolve())).rejects.toBeInstanceOf(NewerDashboard);
    expect(newerBuild.get()).toBe(true);
  });
  it('is given up, with its reason, while everything else is served', async () => {
    served('/assets/index-old.js');
    await expect(persistently(failing, () => Promise.resolve())).rejects.toThrow('Importing');
    expect([await lookForNewer(), newerBuild.get()]).toEqual([false, false]);
  });
});
