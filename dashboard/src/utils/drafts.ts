/** Edits nobody has applied yet. They outlive a screen and a reload, not the tab, and not the session. */
import type { Resource } from './resources';

export interface Draft {
  code: string;
  /** What it was begun from: applying it over something newer is refused. */
  started: Resource;
  at: number;
}

const PREFIX = 'aerekos-draft ';
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

/** Somebody else may log in. */
export function forgetDrafts(): void {
  inMemory.clear();
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}
