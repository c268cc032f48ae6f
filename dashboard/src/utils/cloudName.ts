/** What this cloud is called, for the title of the tab, the header and the login page: people have more than one. */
import { fetched } from './fetching';
import { Observable } from './observable';

const HOST = typeof window === 'undefined' ? '' : window.location.host;

/** The host until the cloud has said its name. */
export const cloudName = new Observable(HOST);

/** `GET /cloud`, which is for everybody: people choose by it where to type their password. Safe to repeat. */
export async function readCloudName(): Promise<void> {
  const response = await fetched('/cloud', { harmless: true }).catch(() => null);
  if (!response?.ok) return;
  const { name } = (await response.json()) as { name?: string };
  if (name) cloudName.set(name);
}
