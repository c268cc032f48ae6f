/** Whether another build of the dashboard is served than the one that runs here. */
import { Observable } from './observable';

export const newerBuild = new Observable(false);

const SCRIPT = /<script[^>]+src="([^"]+)"/;

/** Names of scripts hold a hash of their content, so another name is another build. Raises what fetch raises. */
export async function lookForNewer(): Promise<boolean> {
  const response = await fetch('/ui', { cache: 'no-store' });
  const served = response.ok ? SCRIPT.exec(await response.text())?.[1] : undefined;
  const ours = document.querySelector('script[type="module"][src]')?.getAttribute('src');
  if (served && ours && served !== ours) newerBuild.set(true);
  return newerBuild.get();
}
