/** The managed services this cloud could run: `GET /catalog`. Asked once for each login. */
import { ask } from './api';
import { Observable } from './observable';

export interface CatalogEntry {
  managed: string;
  service: string;
  title: string;
  summary: string;
  kinds: string[];
  speaks: string[];
  needs: string[];
  startsEnabled: boolean;
  /** Whether its Service sleeps while nobody asks for it. */
  activation: 'always' | 'onDemand';
}

export const catalog = new Observable<readonly CatalogEntry[]>([]);

/** The path of the service that answers for that AWS service (`kms`), through the gateway. Where none does, the gateway
    says so. */
export function pathSpeaking(signingName: string): string {
  const found = catalog.get().find((each) => each.speaks.includes(signingName));
  return `/services/${found?.service ?? signingName}`;
}

/** The path of the service that looks after resources of that kind (`queues`), through the gateway. */
export function pathKeeping(plural: string): string {
  const found = catalog.get().find((each) => each.kinds.includes(plural));
  return `/services/${found?.service ?? plural}`;
}

/** Safe to repeat; what cannot be had stays empty. */
export async function readCatalog(): Promise<void> {
  const found = await ask<{ services: CatalogEntry[] }>('/catalog').catch(() => null);
  if (found) catalog.set(found.services);
}
