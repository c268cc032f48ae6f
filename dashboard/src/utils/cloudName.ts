/** What this cloud is called, for the title of the tab and the header: people have more than one. */
import { ask } from './api';
import { Observable } from './observable';

const HOST = typeof window === 'undefined' ? '' : window.location.host;

/** The host until the cloud has said its name, and for one that has none. */
export const cloudName = new Observable(HOST);

/** Safe to repeat. */
export async function readCloudName(): Promise<void> {
  const told = await ask<{ cloud?: string }>('/version').catch(() => null);
  if (told?.cloud) cloudName.set(told.cloud);
}
