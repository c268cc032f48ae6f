import { useMemo } from 'react';

import { catalog as catalogSeen } from '../utils/catalog';
import { commandsFor, type Command, type Powers } from '../utils/commands';
import { kinds as kindsSeen } from '../utils/discovery';
import {
  AUDIT_LOG,
  BUCKETS,
  CONFIG_MAPS,
  JOIN_TOKENS,
  KEYS,
  NAMESPACES,
  POD_EXEC,
  SECRETS,
  SERVICES,
  USERS,
  WORKERS,
  isSame,
  type Kind,
  type Service,
  type Worker,
} from '../utils/resources';
import { useMay } from './useMay';
import { useObservable } from './useObservable';
import { useResources } from './useResources';

/** Kinds of which each is asked whether one may be created. */
const ASKED = [SERVICES, BUCKETS, KEYS, USERS, SECRETS, CONFIG_MAPS, NAMESPACES];

/** Kinds whose resources are found by name. Secrets are not: finding one would bring the values of all. */
function useNamed() {
  const buckets = useResources(BUCKETS).items;
  const keys = useResources(KEYS).items;
  const users = useResources(USERS).items;
  const maps = useResources(CONFIG_MAPS).items;
  const namespaces = useResources(NAMESPACES).items;
  return useMemo(() => {
    const all: [Kind, typeof keys][] = [
      [BUCKETS, buckets],
      [KEYS, keys],
      [USERS, users],
      [CONFIG_MAPS, maps],
      [NAMESPACES, namespaces],
    ];
    return all.flatMap(([kind, items]) => items.map((resource) => ({ kind, resource })));
  }, [buckets, keys, users, maps, namespaces]);
}

/** Of the kinds above those the server allows; of all others, which only admins know, those with the verb. */
function useCreatable(kinds: readonly Kind[]): Kind[] {
  const [services, buckets, keys, users, secrets, maps, namespaces] = [
    useMay(SERVICES, 'create'),
    useMay(BUCKETS, 'create'),
    useMay(KEYS, 'create'),
    useMay(USERS, 'create'),
    useMay(SECRETS, 'create'),
    useMay(CONFIG_MAPS, 'create'),
    useMay(NAMESPACES, 'create'),
  ];
  const allowed = [services, buckets, keys, users, secrets, maps, namespaces];
  const others = kinds.filter(
    (kind) => users && !ASKED.some((each) => isSame(each, kind)) && kind.verbs?.includes('create'),
  );
  return [...ASKED.filter((_, at) => allowed[at]), ...others.filter((kind) => !UNMADE.has(kind.plural))];
}

/** Made by the cloud, by `Join a machine`, or by an update of something else. */
const UNMADE = new Set(['events', 'workers', 'jointokens', 'leases', 'pods', 'nodes', 'replicasets', 'endpoints']);

/** Everything this person can do here, and the services a number may be typed for. */
export function useCommands(): { commands: readonly Command[]; scalable: readonly Service[] } {
  const services = useResources<Service>(SERVICES).items;
  const workers = useResources<Worker>(WORKERS).items;
  const others = useNamed();
  const kinds = useObservable(kindsSeen);
  const catalog = useObservable(catalogSeen);
  const may: Powers = {
    services: useMay(SERVICES),
    workers: useMay(WORKERS),
    exec: useMay(POD_EXEC, 'create'),
    join: useMay(JOIN_TOKENS, 'create'),
    audit: useMay(AUDIT_LOG, 'list'),
    create: useCreatable(kinds),
  };
  const rights = JSON.stringify(may);
  const commands = useMemo(
    () => commandsFor({ services, workers, kinds, catalog, others, may }),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `rights` are what `may` says
    [services, workers, kinds, catalog, others, rights],
  );
  return { commands, scalable: may.services ? services : [] };
}
