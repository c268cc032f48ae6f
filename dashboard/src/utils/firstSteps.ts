/** What somebody with a new cloud may want to try, and what of it has been done. Pure. */
import type { Resource, Service, Worker } from './resources';

export interface FirstStep {
  id: string;
  what: string;
  why: string;
  done: boolean;
  /** The button, and where it leads. */
  action: string;
  to: string;
  wish?: 'new' | 'join';
}

export interface Present {
  buckets: readonly Resource[];
  keys: readonly Resource[];
  services: readonly Service[];
  users: readonly Resource[];
  workers: readonly Worker[];
}

/** Made by the cloud itself, or an example that came with it: nobody has tried anything by that. */
function isOurs({ metadata, spec }: Resource): boolean {
  const { namespace, name } = metadata;
  return namespace === 'aerekos-system' || /^example\b/.test(name) || /^Default key/.test(spec?.description ?? '');
}

export function firstSteps({ buckets, keys, services, users, workers }: Present): FirstStep[] {
  return [
    {
      id: 'file',
      what: 'Put a file into a bucket',
      why: 'Encrypted at rest; S3 tools see the same files.',
      done: buckets.some((each) => (each.status?.objects ?? 0) > 0),
      action: buckets.length ? 'Open buckets' : 'New bucket',
      to: '/ui/buckets',
      ...(buckets.length ? {} : { wish: 'new' as const }),
    },
    {
      id: 'key',
      what: 'Create a key',
      why: 'Encrypt with it from any AWS KMS tool.',
      done: keys.some((each) => !isOurs(each)),
      action: 'New key',
      to: '/ui/keys',
      wish: 'new',
    },
    {
      id: 'service',
      what: 'Deploy a service',
      why: 'A site or a program out of a template, kept running.',
      done: services.some((each) => !each.spec.managed && !isOurs(each)),
      action: 'New service',
      to: '/ui/services',
      wish: 'new',
    },
    {
      id: 'user',
      what: 'Invite somebody',
      why: 'With a role of their own, and in the audit log by name.',
      done: users.length > 1,
      action: 'New user',
      to: '/ui/users',
      wish: 'new',
    },
    {
      id: 'worker',
      what: 'Join a machine',
      why: 'Services move there when this one is full or away.',
      done: workers.length > 1,
      action: 'Join a machine',
      to: '/ui/workers',
      wish: 'join',
    },
  ];
}
