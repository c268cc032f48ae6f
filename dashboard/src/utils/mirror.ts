/**
 * A live copy of one collection: list once, then watch from that revision on. It says how true it is: `live`, or
 * `reconnecting` with the moment it last heard anything. Nothing is polled. Changes people make here show at once
 * (`pretend`) and are taken back when the server refuses.
 */
import { ask } from './api';
import { patience, rest } from './backoff';
import { drawSoon } from './drawing';
import { ApiError } from './errors';
import { Observable } from './observable';
import { keyOf, type Resource } from './resources';
import { openStream } from './sockets';

export type Liveness = 'loading' | 'live' | 'reconnecting' | 'refused';

export interface View<T extends Resource> {
  items: readonly T[];
  state: Liveness;
  /** Milliseconds since 1970 of the last sign of life. */
  heardAt: number;
  error: ApiError | null;
}

interface Listing<T> {
  metadata: { resourceVersion: string };
  items: T[];
}

const SILENCE_MS = 75_000; // bookmarks come every 30 s
const LINGER_MS = 20_000;
// Somebody may be given the right meanwhile; asking more often would be polling.
const REFUSED_MS = 120_000;

export class Mirror<T extends Resource = Resource> {
  readonly view = new Observable<View<T>>({ items: [], state: 'loading', heardAt: 0, error: null });
  private readonly known = new Map<string, T>();
  private readonly pretended = new Map<string, (real: T | undefined) => T | null>();
  private revision = '';
  private users = 0;
  private running: AbortController | null = null;
  private lingering: ReturnType<typeof setTimeout> | undefined;
  private order: string[] | null = null;
  private heardAt = 0;

  constructor(
    readonly path: string,
    private readonly query = '',
  ) {}

  /** Keeps it alive until the returned function is called. */
  use(): () => void {
    this.users += 1;
    clearTimeout(this.lingering);
    if (!this.running) {
      this.running = new AbortController();
      void this.run(this.running.signal);
    }
    return () => {
      this.users -= 1;
      if (this.users === 0) this.lingering = setTimeout(() => this.stop(), LINGER_MS);
    };
  }

  stop(): void {
    this.running?.abort();
    this.running = null;
    this.revision = '';
    this.known.clear();
    this.order = null;
    this.heardAt = 0;
    this.view.set({ items: [], state: 'loading', heardAt: 0, error: null });
  }

  /** Shows `how` the resource will be until the returned function is called. `null` means gone. */
  pretend(key: string, how: (real: T | undefined) => T | null): () => void {
    this.pretended.set(key, how);
    this.show();
    return () => {
      if (this.pretended.get(key) === how) this.pretended.delete(key);
      this.show();
    };
  }

  /** An answer to a write: as good as an event, and sooner. */
  learn(resource: T): void {
    this.apply('MODIFIED', resource);
    this.show();
  }

  private async run(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    while (!signal.aborted) {
      try {
        if (!this.revision) await this.list(signal);
        attempt = (await this.follow(signal)) ? 0 : attempt + 1;
        if (!signal.aborted) this.say('reconnecting');
      } catch (error) {
        if (signal.aborted) return;
        attempt += 1;
        this.note(error);
      }
      await rest(this.view.get().state === 'refused' ? REFUSED_MS : patience(attempt), signal);
    }
  }

  private note(error: unknown): void {
    const told = error instanceof ApiError ? error : new ApiError(0, 'Unknown', String(error));
    if (told.code === 410) this.revision = '';
    const refused = told.code === 403 || told.code === 404 || told.code === 401;
    this.say(refused ? 'refused' : this.view.get().heardAt ? 'reconnecting' : 'loading', told);
  }

  private async list(signal: AbortSignal): Promise<void> {
    const found = await ask<Listing<T>>(this.path + (this.query ? `?${this.query}` : ''), { signal });
    this.known.clear();
    this.order = null;
    for (const each of found.items) this.known.set(keyOf(each), each);
    this.revision = found.metadata.resourceVersion;
    this.say('live');
  }

  /** Whether it was ever open. Raises ApiError when the server refused. */
  private follow(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let opened = false;
      let silence: ReturnType<typeof setTimeout> | undefined;
      let stop = () => {};
      const end = (error?: ApiError) => {
        clearTimeout(silence);
        signal.removeEventListener('abort', give);
        window.removeEventListener('offline', lost);
        stop();
        if (error) reject(error);
        else resolve(opened);
      };
      const give = () => end();
      const lost = () => end();
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(lost, SILENCE_MS);
      };
      signal.addEventListener('abort', give);
      window.addEventListener('offline', lost);
      const selecting = this.query ? `&${this.query}` : '';
      const path = `${this.path}?watch=true&allowWatchBookmarks=true&resourceVersion=${this.revision}${selecting}`;
      openStream(path, {
        open: () => {
          opened = true;
          heard();
          this.say('live');
        },
        lines: (lines) => {
          heard();
          for (const line of lines) this.hear(line);
          this.say('live');
        },
        closed: end,
      }).then((stream) => {
        stop = () => stream.close();
        if (signal.aborted) stream.close();
      }, end);
    });
  }

  private hear(line: string): void {
    const { type, object } = JSON.parse(line) as { type: string; object: T };
    if (type === 'ERROR') return;
    this.revision = object.metadata.resourceVersion ?? this.revision;
    if (type !== 'BOOKMARK') this.apply(type, object);
  }

  private apply(type: string, object: T): void {
    const key = keyOf(object);
    const before = this.known.get(key);
    if ((type === 'DELETED') === (before !== undefined)) this.order = null;
    if (type === 'DELETED') this.known.delete(key);
    else if (!before || revisionOf(object) >= revisionOf(before)) this.known.set(key, object);
  }

  private say(state: Liveness, error: ApiError | null = null): void {
    if (state === 'live') this.heardAt = Date.now();
    // How true it is, is told at once; only more of the same waits.
    if (state !== 'live' || this.view.get().state !== 'live' || error) this.publish(state, error);
    else drawSoon(this.show);
  }

  private readonly show = (): void => {
    const { state, error } = this.view.get();
    this.publish(state, error);
  };

  private publish(state: Liveness, error: ApiError | null): void {
    this.order ??= [...this.known.keys()].sort();
    let items = this.order.map((key) => this.known.get(key)!);
    if (this.pretended.size) items = this.withPretended();
    this.view.set({ items, state, heardAt: this.heardAt, error });
  }

  private withPretended(): T[] {
    const seen = new Map(this.known);
    for (const [key, how] of this.pretended) {
      const shown = how(seen.get(key));
      if (shown) seen.set(key, shown);
      else seen.delete(key);
    }
    return [...seen.keys()].sort().map((key) => seen.get(key)!);
  }
}

function revisionOf(resource: Resource): number {
  return Number(resource.metadata.resourceVersion ?? 0);
}

const mirrors = new Map<string, Mirror<any>>();

/** The one mirror of that collection, shared by everybody who looks. */
export function mirrorOf<T extends Resource>(path: string, query = ''): Mirror<T> {
  const key = `${path}?${query}`;
  let mirror = mirrors.get(key);
  if (!mirror) {
    mirror = new Mirror<T>(path, query);
    mirrors.set(key, mirror);
  }
  return mirror;
}

/** Forget everything: somebody else may log in. */
export function forgetMirrors(): void {
  for (const mirror of mirrors.values()) mirror.stop();
  mirrors.clear();
}

/** Every mirror that is in use, for the one line that says how true the page is. */
export function mirrorsInUse(): Mirror<any>[] {
  return [...mirrors.values()];
}
