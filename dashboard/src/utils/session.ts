/**
 * Who is logged in. The access token lives in this module's memory only; the refresh token is a cookie no script can
 * read, and the key it is worth nothing without lies in the storage of this very origin: other ports of the host get
 * the cookie too. One refresh at a time, shortly before the token ends, and when the API says 401.
 */
import { patience, rest } from './backoff';
import { ApiError, fromStatus, Unreachable } from './errors';
import { fetched } from './fetching';
import { forgetDrafts, keepDraftsOf } from './drafts';
import { Observable } from './observable';

export interface Who {
  name: string;
  groups: string[];
  namespace: string;
}

/** `trouble`: why it is still not known who is there. */
export type Session =
  { state: 'asking'; trouble?: string } | { state: 'out'; because?: string } | { state: 'in'; who: Who };

interface Pair {
  accessToken: string;
  expiresIn: number;
  refreshKey?: string;
  passwordChangeRequired?: boolean;
}

/** The password was a one-time one: it is good for choosing another, and nothing else. */
export class MustChoose extends Error {}

export const session = new Observable<Session>({ state: 'asking' });

let token = '';
let endsAt = 0;
let refreshing: Promise<string> | null = null;
const EARLY_MS = 60_000;
const MARK = 'aerekos-was-here';
const KEY = 'aerekos-refresh-key';
/** The other tabs of this cloud; another cloud has another origin. */
const TABS = 'aerekos-session';

/** Logging in, renewing and leaving may be repeated without harm. */
function post(path: string, body: unknown): Promise<Response> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  const key = localStorage.getItem(KEY);
  if (key) headers['x-aerekos-refresh-key'] = key;
  if (token) headers.authorization = `Bearer ${token}`;
  const init = { method: 'POST', headers, body: JSON.stringify(body), credentials: 'same-origin' } as const;
  return fetched(path, { ...init, harmless: true });
}

async function taken(response: Response): Promise<Pair> {
  const body = await response.json().catch(() => null);
  if (!response.ok) throw fromStatus(response.status, body);
  const pair = body as Pair;
  token = pair.accessToken;
  endsAt = Date.now() + pair.expiresIn * 1000;
  if (pair.refreshKey) localStorage.setItem(KEY, pair.refreshKey);
  return pair;
}

async function whoami(): Promise<Who> {
  const response = await fetched('/auth/whoami', { headers: { authorization: `Bearer ${token}` }, harmless: true });
  if (!response.ok) throw fromStatus(response.status, await response.json().catch(() => null));
  return (await response.json()) as Who;
}

/** Raises ApiError with the server's own words; MustChoose when it takes another password, `chosen`, to come in. */
export async function logIn(username: string, password: string, code = '', chosen = ''): Promise<void> {
  const pair = await taken(await post('/auth/login', { username, password, cookie: true, ...(code ? { code } : {}) }));
  if (pair.passwordChangeRequired) {
    if (!chosen) throw new MustChoose();
    const changed = await post('/auth/password', { username, current: password, password: chosen });
    if (!changed.ok) throw fromStatus(changed.status, await changed.json().catch(() => null));
    return logIn(username, chosen);
  }
  sessionStorage.setItem(MARK, '1');
  entered(await whoami());
  tabs?.postMessage('in');
}

/** Goes on with the cookie of an earlier visit, if there is a good one; waits for a cloud that does not answer. */
export async function restore(signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const answer = await post('/auth/refresh', {});
      if (answer.status === 204) return nobody();
      await taken(answer);
      return entered(await whoami());
    } catch (error) {
      if (!(error instanceof Unreachable)) return nobody();
      session.set({ state: 'asking', trouble: 'The cloud does not answer; trying again. On its machine: aerekos up' });
    }
    await rest(patience(attempt), signal);
  }
}

function entered(who: Who): void {
  keepDraftsOf(who.name);
  session.set({ state: 'in', who });
}

function nobody(): void {
  const before = sessionStorage.getItem(MARK);
  session.set({ state: 'out', because: before ? 'Your session ended. Log in again.' : undefined });
}

/** Leaves, in every tab of this browser. `because`: it ended by itself, so unapplied edits wait for their author. */
export async function logOut(because?: string): Promise<void> {
  const leaving = post('/auth/logout', {}).catch(() => undefined);
  localStorage.removeItem(KEY);
  if (!because) forgetDrafts();
  forget(because);
  tabs?.postMessage('out');
  await leaving;
}

function forget(because?: string): void {
  token = '';
  endsAt = 0;
  sessionStorage.removeItem(MARK);
  session.set({ state: 'out', because });
}

const tabs = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(TABS);
tabs?.addEventListener('message', ({ data }) => {
  if (data === 'out' && session.get().state === 'in') {
    forgetDrafts();
    forget('You signed out in another tab.');
  }
  // Who logged in elsewhere is in here too: the cookie is the same.
  if (data === 'in' && session.get().state === 'out') void restore(new AbortController().signal);
});

/** A token that is good for at least a minute. Raises Unreachable; ends the session when it cannot be renewed. */
export async function freshToken(force = false): Promise<string> {
  if (token && !force && Date.now() < endsAt - EARLY_MS) return token;
  refreshing ??= renew().finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function renew(): Promise<string> {
  try {
    const answer = await post('/auth/refresh', {});
    if (answer.status === 204) throw new ApiError(401, 'Unauthorized', 'nobody is logged in here any more');
    await taken(answer);
  } catch (error) {
    // Who signed out in another tab meanwhile has been told so.
    const ended = error instanceof ApiError && error.code === 401 && session.get().state !== 'out';
    if (ended) await logOut('Your session ended. Log in again.');
    throw error;
  }
  return token;
}

export type Role = 'admin' | 'editor' | 'viewer';

/** The strongest role, for the eye; what is offered, the server is asked (utils/permissions.ts). */
export function roleOf(who: Who): Role {
  if (who.groups.includes('aerekos:admin') || who.groups.includes('system:masters')) return 'admin';
  return who.groups.includes('aerekos:editor') ? 'editor' : 'viewer';
}
