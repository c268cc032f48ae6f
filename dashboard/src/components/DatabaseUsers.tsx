import { useState, type ReactNode } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { useResources } from '../hooks/useResources';
import { useReveal } from '../hooks/useReveal';
import { useWho } from '../hooks/useSession';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { create, setMeta } from '../utils/actions';
import { newUser, readConnection, rotation } from '../utils/databases';
import { inWords } from '../utils/errors';
import { askFirst } from '../utils/questions';
import { conditionOf, DATABASE_USERS, SECRETS, type Resource } from '../utils/resources';
import { SHOWN_MS } from '../utils/reveal';
import { pageOf } from '../utils/routes';
import { ago } from '../utils/time';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { Dialog } from './Dialog';
import { Choice, Field } from './Field';
import { Panel } from './Panel';
import { SecretValueView } from './SecretValueView';
import { TextLink } from './TextLink';

/** Who may log in to a database, and how: connection strings are shown after a question, for half a minute. */
export function DatabaseUsers({ database }: { database: Resource }) {
  const who = useWho();
  const { name, namespace = 'default' } = database.metadata;
  const may = useMay(SECRETS, 'list', namespace);
  const mayMake = useMay(DATABASE_USERS, 'create', namespace);
  const [making, setMaking] = useState(false);
  const [wanted, setWanted] = useState('');
  const { revealed, show, hide } = useReveal((secret, signal) => readConnection(namespace, secret, signal));
  const users = useResources(DATABASE_USERS).items.filter(
    (each) => each.spec?.database === name && (each.metadata.namespace ?? 'default') === namespace,
  );
  const shown = (secret: string) =>
    revealed.state !== 'hidden' && revealed.version === secret ? (
      <View style={layout.whole}>
        <SecretValueView revealed={revealed} onHide={hide} />
      </View>
    ) : null;
  const owner = (database.status?.credentials ?? '') as string;
  const reveal = (secret: string, of: string) =>
    may && secret ? (
      <Button label={`Connection of ${of}`} onPress={() => setWanted(secret)} id={`reveal-${secret}`} />
    ) : null;
  return (
    <Panel
      title="Connect"
      note={may ? undefined : 'connections are shown to whoever may read Secrets here'}
      right={
        mayMake ? <Button label="New user" icon="plus" onPress={() => setMaking(true)} id="new-user" /> : undefined
      }
    >
      <View role="list" aria-label="Users">
        <View role="listitem" style={[home.feedRow, home.itemFirst, { flexWrap: 'wrap' }]}>
          <View style={[layout.grow, layout.tight, { minWidth: 180 }]}>
            <Text style={text.strong}>{(database.status?.username || 'the owner') as string}</Text>
            <Text style={text.small}>owns the first database</Text>
          </View>
          {reveal(owner, (database.status?.username || 'the owner') as string)}
          {shown(owner)}
        </View>
        {users.map((each) => (
          <User key={each.metadata.name} user={each}>
            {reveal((each.status?.credentials ?? '') as string, each.metadata.name)}
            {shown((each.status?.credentials ?? '') as string)}
          </User>
        ))}
      </View>
      {wanted && (
        <Confirm
          title="Show a connection"
          what={
            `You, ${who?.name ?? ''}, and whoever sees this screen will see the password of ${wanted}. The audit log tells ` +
            `that you read it. It is hidden again after ${SHOWN_MS / 1000} s, and when you leave the page.`
          }
          action="Show it"
          onYes={() => show(wanted)}
          onClose={() => setWanted('')}
        />
      )}
      {making && <UserDialog database={database} onClose={() => setMaking(false)} />}
    </Panel>
  );
}

function User({ user, children }: { user: Resource; children: ReactNode }) {
  const now = useNow(1000);
  const may = useMay(DATABASE_USERS, 'patch', user.metadata.namespace);
  const { name } = user.metadata;
  const { spec = {}, status = {} } = user;
  const told = conditionOf(user, 'Reconciled');
  const about = [
    `may ${spec.privileges ?? 'write'}`,
    spec.rotation ? `another password every ${spec.rotation.days} days` : 'no rotation',
    status.rotatedAt && `changed ${ago(status.rotatedAt as string, now)}`,
    told?.status === 'False' && (told.message || told.reason),
  ].filter(Boolean);
  const rotate = () =>
    askFirst({
      title: `Another password for ${name}?`,
      what: 'Connections last. The password of today stays good until the next change.',
      action: 'Change it',
      onYes: () => void setMeta(DATABASE_USERS, user, rotation(new Date()), `${name} gets another password`),
    });
  return (
    <View role="listitem" style={[home.feedRow, { flexWrap: 'wrap' }]}>
      <View style={[layout.grow, layout.tight, { minWidth: 180 }]}>
        <TextLink to={pageOf(DATABASE_USERS, user)}>{name}</TextLink>
        <Text style={[text.small, { overflowWrap: 'anywhere' }]}>{about.join(' · ')}</Text>
      </View>
      {may && <Button label={`Rotate ${name}`} onPress={rotate} />}
      {children}
    </View>
  );
}

const PRIVILEGES = [
  { value: 'read', name: 'Read' },
  { value: 'write', name: 'Write' },
  { value: 'owner', name: 'All the owner may' },
] as const;

function UserDialog({ database, onClose }: { database: Resource; onClose: () => void }) {
  const [name, setName] = useState('');
  const [privileges, setPrivileges] = useState<(typeof PRIVILEGES)[number]['value']>('write');
  const [fault, setFault] = useState('');
  const make = () =>
    create(DATABASE_USERS, newUser(database, name, privileges), `${name} is made`).then(onClose, (error: unknown) => {
      const { what, next } = inWords(error);
      setFault(`${what} ${next}`);
    });
  return (
    <Dialog title={`New user of ${database.metadata.name}`} onClose={onClose}>
      <Field label="Name" value={name} onChange={setName} error={fault} autoFocus id="user-name" />
      <Choice label="What they may" options={PRIVILEGES} chosen={privileges} onChoose={setPrivileges} />
      <Button label="Create" look="primary" onPress={() => void make()} disabled={!name} id="create-user" />
    </Dialog>
  );
}
