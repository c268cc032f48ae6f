import { Suspense, useState } from 'react';

import { useMay } from '../hooks/useMay';
import { useWish } from '../hooks/useWish';
import { remove, removeWorker, rotateKey, setCordoned, setSpec } from '../utils/actions';
import { enableOrDisable, restartIt } from '../utils/careful';
import { lazily } from '../utils/lazily';
import { go, listPage } from '../utils/routes';
import {
  isSame,
  KEYS,
  POD_EVICTION,
  SERVICES,
  WORKERS,
  type Kind,
  type Resource,
  type Service,
  type Worker,
} from '../utils/resources';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { DrainDialog } from './DrainDialog';
import { Stepper } from './Stepper';
import { UpdateDialog } from './UpdateDialog';

const RollbackDialog = lazily(() => import('./RollbackDialog'), 'RollbackDialog');

/** What can be done with one resource, for those who may. */
export function DetailActions({ kind, resource }: { kind: Kind; resource: Resource }) {
  const may = useMay(kind, 'patch', resource.metadata.namespace);
  const served = kind.verbs ?? ['patch', 'delete'];
  if (!may || !served.includes('patch') || resource.metadata.deletionTimestamp) return null;
  return (
    <>
      {isSame(kind, SERVICES) && <ServiceActions service={resource as Service} />}
      {isSame(kind, WORKERS) && <WorkerActions worker={resource as Worker} />}
      {isSame(kind, KEYS) && <KeyActions kind={kind} key_={resource} />}
      {served.includes('delete') && <Delete kind={kind} resource={resource} />}
    </>
  );
}

function Delete({ kind, resource }: { kind: Kind; resource: Resource }) {
  const may = useMay(kind, 'delete', resource.metadata.namespace);
  const [asking, setAsking] = useState(false);
  useWish('delete', () => setAsking(true), may);
  const name = resource.metadata.name;
  const worker = isSame(kind, WORKERS);
  const yes = () => (worker ? removeWorker(resource as Worker) : remove(kind, resource));
  if (!may) return null;
  return (
    <>
      <Button
        label={worker ? 'Remove' : 'Delete'}
        icon="trash"
        look="danger"
        onPress={() => setAsking(true)}
        id="delete"
      />
      {asking && (
        <Confirm
          title={`${worker ? 'Remove' : 'Delete'} ${name}`}
          what={warning(kind, name)}
          typed={name}
          action={worker ? 'Remove it' : 'Delete it'}
          onClose={() => setAsking(false)}
          onYes={() => void yes().then((worked) => worked && go(listPage(kind)))}
        />
      )}
    </>
  );
}

function warning(kind: Kind, name: string): string {
  const more: Record<string, string> = {
    services: 'Its instances stop. Its data folder stays on the machine.',
    workers: 'Everything moves off it, it leaves, and its record is deleted. To come back it needs a new join command.',
    keys: 'Everything encrypted with it is lost for good, at the end of its waiting time.',
    managedsecrets: 'One that has values is refused: it gets a deletion date first, 7 to 30 days ahead.',
    buckets: 'Only an empty bucket can go.',
    queues: 'Its messages are deleted with it.',
    topics: 'Whoever subscribed gets nothing more.',
    databases: 'Its data is deleted; where it has backups, a last one is taken first unless its policy says no.',
    users: 'They can log in no more; tokens they hold end at once.',
    namespaces: 'Everything in it is deleted too.',
  };
  return `${kind.kind} ${name} will be deleted. ${more[kind.plural] ?? 'This cannot be taken back.'}`;
}

function ServiceActions({ service }: { service: Service }) {
  const enabled = service.spec.enabled ?? true;
  const [open, setOpen] = useState<'update' | 'rollback' | null>(null);
  useWish('update', () => setOpen('update'), Boolean(service.spec.image));
  useWish('rollback', () => setOpen('rollback'));
  return (
    <>
      {enabled && <Stepper service={service} />}
      {service.spec.image && <Button label="Update" onPress={() => setOpen('update')} />}
      <Button label="Roll back" onPress={() => setOpen('rollback')} />
      {enabled && <Button label="Restart" onPress={() => restartIt(service)} />}
      <Button
        label={enabled ? 'Disable' : 'Enable'}
        look={enabled ? 'quiet' : 'primary'}
        onPress={() => enableOrDisable(service, !enabled)}
      />
      {open === 'update' && <UpdateDialog service={service} onClose={() => setOpen(null)} />}
      {open === 'rollback' && (
        <Suspense fallback={null}>
          <RollbackDialog service={service} onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </>
  );
}

function WorkerActions({ worker }: { worker: Worker }) {
  const cordoned = worker.spec?.unschedulable ?? false;
  const mayMove = useMay(POD_EVICTION, 'create');
  const [draining, setDraining] = useState(false);
  useWish('drain', () => setDraining(true), mayMove);
  return (
    <>
      <Button
        label={cordoned ? 'Uncordon' : 'Cordon'}
        look={cordoned ? 'primary' : 'quiet'}
        onPress={() => void setCordoned(worker, !cordoned)}
      />
      {mayMove && <Button label="Drain" onPress={() => setDraining(true)} />}
      {draining && <DrainDialog worker={worker} onClose={() => setDraining(false)} />}
    </>
  );
}

function KeyActions({ kind, key_ }: { kind: Kind; key_: Resource }) {
  const enabled = key_.spec?.enabled ?? true;
  const told = `${key_.metadata.name} is ${enabled ? 'disabled' : 'enabled'}`;
  return (
    <>
      {enabled && !key_.spec?.deletionDate && (
        <Button label="Rotate" onPress={() => void rotateKey(key_)} id="rotate" />
      )}
      <Button
        label={enabled ? 'Disable' : 'Enable'}
        onPress={() => void setSpec(kind, key_, { enabled: !enabled }, told)}
      />
    </>
  );
}
