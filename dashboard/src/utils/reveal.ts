/** A value that is kept from the screen: shown after it was asked for, and hidden again by itself. */
import { ask } from './api';
import { Observable } from './observable';
import { place, SECRETS } from './resources';

/** The value of a version: text, or bytes in base64. */
export interface SecretValue {
  text?: string;
  binary?: string;
}

/** `version`: whose value it is. `until`: when it is hidden, in ms since 1970. */
export type Revealed =
  | { state: 'hidden' }
  | { state: 'reading'; version: string }
  | { state: 'refused'; version: string; error: unknown }
  | { state: 'shown'; version: string; value: SecretValue; until: number };

/** What a Secret has under that key; the audit log tells of it. Raises ApiError. */
export async function readSecretKey(
  namespace: string | undefined,
  secret: string,
  key: string,
  signal?: AbortSignal,
): Promise<SecretValue> {
  const { data } = await ask<{ data?: Record<string, string> }>(place(SECRETS, secret, namespace), { signal });
  return { text: data?.[key] ? atob(data[key]) : '' };
}

export const SHOWN_MS = 30_000;
const HIDDEN: Revealed = { state: 'hidden' };

/** One value at a time. What comes after it was hidden, or after another was asked for, is dropped unseen. */
export class Reveal extends Observable<Revealed> {
  private asked: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly read: (version: string, signal: AbortSignal) => Promise<SecretValue>) {
    super(HIDDEN);
  }

  async show(version: string): Promise<void> {
    this.hide();
    const asked = (this.asked = new AbortController());
    this.set({ state: 'reading', version });
    try {
      const value = await this.read(version, asked.signal);
      if (asked.signal.aborted) return;
      this.set({ state: 'shown', version, value, until: Date.now() + SHOWN_MS });
      this.timer = setTimeout(() => this.hide(), SHOWN_MS);
    } catch (error) {
      if (!asked.signal.aborted) this.set({ state: 'refused', version, error });
    }
  }

  hide(): void {
    this.asked?.abort();
    this.asked = null;
    clearTimeout(this.timer);
    this.set(HIDDEN);
  }
}
