import { catalog, type CatalogEntry } from '../utils/catalog';
import { serviceHealth, type Health } from '../utils/health';
import { SERVICES, type Service } from '../utils/resources';
import { useObservable } from './useObservable';
import { useResources } from './useResources';

interface Speaking {
  /** What the cloud offers that speaks it; undefined where nothing does, or before that is known. */
  offered: CatalogEntry | undefined;
  /** The service of that, where there is one. */
  service: Service | undefined;
  health: Health;
  /** Whether services are known as they are now. */
  live: boolean;
}

/** The managed service that speaks for a screen (`kms`), and how it is. */
export function useSpeaking(speaks: string): Speaking {
  const { items, state } = useResources<Service>(SERVICES);
  const offered = useObservable(catalog).find((each) => each.speaks.includes(speaks));
  const service = offered && items.find((each) => each.spec.managed === offered.managed);
  return { offered, service, health: service ? serviceHealth(service) : 'idle', live: state === 'live' };
}
