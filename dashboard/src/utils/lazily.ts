/** Screens that are fetched when they are needed, and fetched again when that failed. */
import { lazy, type ComponentType } from 'react';

import { patience, rest } from './backoff';
import { lookForNewer } from './newer';

/** The script that is missing is of a build that is not served any more: only loading the page anew helps. */
export class NewerDashboard extends Error {
  constructor() {
    super('A newer dashboard is there.');
  }
}

/** While the cloud answers otherwise; during an outage there is no end. */
const MOST_TRIES = 6;
const NEVER = new AbortController().signal;

/** A browser remembers a script it could not get by its address; another query makes another address. */
function anotherTry(error: unknown, attempt: number): (() => Promise<unknown>) | null {
  const address = /https?:\/\/\S+?\.js/.exec(error instanceof Error ? error.message : '')?.[0];
  return address ? () => import(/* @vite-ignore */ `${address}?try=${attempt}`) : null;
}

/** What `load` brings, after an outage too. Raises NewerDashboard. */
export async function persistently<M>(load: () => Promise<M>, wait = rest): Promise<M> {
  let next: () => Promise<unknown> = load;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return (await next()) as M;
    } catch (error) {
      const newer = await lookForNewer().catch(() => null);
      if (newer) throw new NewerDashboard();
      if (newer === false && attempt >= MOST_TRIES) throw error;
      next = anotherTry(error, attempt) ?? load;
      await wait(patience(attempt), NEVER);
    }
  }
}

/** A component of its own script: `name` is what that exports. */
export function lazily<N extends string, P>(load: () => Promise<Record<N, ComponentType<P>>>, name: N) {
  return lazy(async () => ({ default: (await persistently(load))[name] }));
}
