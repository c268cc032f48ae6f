/** Edits nobody has applied yet. They outlive a screen and a reload, not the tab, and not the session. */
import type { Resource } from './resources';

export interface Draft {
  code: string;
  /** What it was begun from: applying it over something newer is refused. */
  started: Resource;
  at: number;
}

const PREFIX = 'aerekos-draft ';
const OWNER = 'aerekos-drafts-of';
/** Of kinds whose text may hold secrets: never written down. */
const inMemory = new Map<string, Draft>();

export function draftKey(kind: string, namespace = '', name = ''): string {
  return `${PREFIX}${kind} ${namespace}/${name}`;
}

export function readDraft(key: string): Draft | null {
  const text = sessionStorage.getItem(key);
  return inMemory.get(key) ?? (text ? (JSON.parse(text) as Draft) : null);
}

export function keepDraft(key: string, draft: Draft): void {
  if (draft.started.kind === 'Secret') {
    inMemory.set(key, draft);
    return;
  }
  try {
    sessionStorage.setItem(key, JSON.stringify(draft));
  } catch {
    inMemory.set(key, draft); // the storage is full or forbidden
  }
}

export function dropDraft(key: string): void {
  inMemory.delete(key);
  sessionStorage.removeItem(key);
}

/** Keeps what that user left behind when a session ended by itself; forgets what anybody else left. */
export function keepDraftsOf(user: string): void {
  if (sessionStorage.getItem(OWNER) !== user) forgetDrafts();
  sessionStorage.setItem(OWNER, user);
}

export function forgetDrafts(): void {
  inMemory.clear();
  sessionStorage.removeItem(OWNER);
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}
