import { useState } from 'react';

import { useMay } from '../hooks/useMay';
import { remove, restart, setCordoned, setEnabled, setSpec } from '../utils/actions';
import { go, listPage } from '../utils/routes';
import {
  isSame,
  KEYS,
  SERVICES,
  WORKERS,
  type Kind,
  type Resource,
  type Service,
  type Worker,
} from '../utils/resources';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { Stepper } from './Stepper';

/** What can be done with one resource, for those who may. */
export function DetailActions({ kind, resource }: { kind: Kind; resource: Resource }) {
  const namespace = resource.metadata.namespace;
  const may = useMay(kind, 'patch', namespace);
  const mayDelete = useMay(kind, 'delete', namespace);
  const [asking, setAsking] = useState(false);
  const served = kind.verbs ?? ['patch', 'delete'];
  if (!may || !served.includes('patch')) return null;
  const name = resource.metadata.name;
  return (
    <>
      {isSame(kind, SERVICES) && <ServiceActions service={resource as Service} />}
      {isSame(kind, WORKERS) && <WorkerActions worker={resource as Worker} />}
      {isSame(kind, KEYS) && <KeyActions kind={kind} key_={resource} />}
      {mayDelete && served.includes('delete') && (
        <Button label="Delete" icon="trash" look="danger" onPress={() => setAsking(true)} />
      )}
      {asking && (
        <Confirm
          title={`Delete ${name}`}
          what={warning(kind, name)}
          typed={name}
          action="Delete it"
          onClose={() => setAsking(false)}
          onYes={() => void remove(kind, resource).then((worked) => worked && go(listPage(kind)))}
        />
      )}
    </>
  );
}

function warning(kind: Kind, name: string): string {
  const more: Record<string, string> = {
    services: 'Its copies stop. Its data folder stays on the machine.',
    workers: 'The cloud forgets this machine. Its agent may register again.',
    keys: 'Everything encrypted with it is lost for good.',
    buckets: 'Only an empty bucket can go.',
    users: 'They can log in no more; tokens they hold end at once.',
    namespaces: 'Everything in it is deleted too.',
  };
  return `${kind.kind} ${name} will be deleted. ${more[kind.plural] ?? 'This cannot be taken back.'}`;
}

function ServiceActions({ service }: { service: Service }) {
  const enabled = service.spec.enabled ?? true;
  return (
    <>
      {enabled && <Stepper service={service} />}
      {enabled && <Button label="Restart" onPress={() => void restart(service)} />}
      <Button
        label={enabled ? 'Disable' : 'Enable'}
        look={enabled ? 'quiet' : 'primary'}
        onPress={() => void setEnabled(service, !enabled)}
      />
    </>
  );
}

function WorkerActions({ worker }: { worker: Worker }) {
  const cordoned = worker.spec?.unschedulable ?? false;
  return (
    <Button
      label={cordoned ? 'Uncordon' : 'Cordon'}
      look={cordoned ? 'primary' : 'quiet'}
      onPress={() => void setCordoned(worker, !cordoned)}
    />
  );
}

function KeyActions({ kind, key_ }: { kind: Kind; key_: Resource }) {
  const enabled = key_.spec?.enabled ?? true;
  const told = `${key_.metadata.name} is ${enabled ? 'disabled' : 'enabled'}`;
  return (
    <Button
      label={enabled ? 'Disable' : 'Enable'}
      onPress={() => void setSpec(kind, key_, { enabled: !enabled }, told)}
    />
  );
}
