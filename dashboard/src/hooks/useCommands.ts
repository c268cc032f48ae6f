import { useMemo } from 'react';

import { catalog as catalogSeen } from '../utils/catalog';
import { commandsFor, type Command, type Powers } from '../utils/commands';
import { kinds as kindsSeen } from '../utils/discovery';
import {
  AUDIT_LOG,
  JOIN_TOKENS,
  POD_EXEC,
  SERVICES,
  USERS,
  WORKERS,
  type Service,
  type Worker,
} from '../utils/resources';
import { useMay } from './useMay';
import { useObservable } from './useObservable';
import { useResources } from './useResources';

/** Everything this person can do here, and the services a number may be typed for. */
export function useCommands(): { commands: readonly Command[]; scalable: readonly Service[] } {
  const services = useResources<Service>(SERVICES).items;
  const workers = useResources<Worker>(WORKERS).items;
  const kinds = useObservable(kindsSeen);
  const catalog = useObservable(catalogSeen);
  const may: Powers = {
    services: useMay(SERVICES),
    workers: useMay(WORKERS),
    exec: useMay(POD_EXEC, 'create'),
    join: useMay(JOIN_TOKENS, 'create'),
    users: useMay(USERS, 'create'),
    audit: useMay(AUDIT_LOG, 'list'),
  };
  const rights = JSON.stringify(may);
  const commands = useMemo(
    () => commandsFor({ services, workers, kinds, catalog, may }),
    [services, workers, kinds, catalog, rights],
  );
  return { commands, scalable: may.services ? services : [] };
}
