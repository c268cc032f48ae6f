import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { useResources } from '../hooks/useResources';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { accessPage } from '../utils/access';
import { ask } from '../utils/api';
import { inWords } from '../utils/errors';
import { bindingsOf, policiesOf, type Bound } from '../utils/identities';
import {
  CLUSTER_ROLE_BINDINGS,
  IAM_GROUPS,
  IAM_POLICIES,
  IAM_USERS,
  ROLE_BINDINGS,
  type Resource,
} from '../utils/resources';
import { pageOf } from '../utils/routes';
import { ago } from '../utils/time';
import { HeldPolicies } from './HeldPolicies';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** A person: roles of the cloud, what IAM says of them, and the keys they sign with. One page for both worlds. */
export function IdentityPanels({ user }: { user: Resource }) {
  const name = user.metadata.name;
  const namespace = (user.spec?.namespace as string | undefined) ?? 'default';
  const roles = ((user.spec?.roles ?? []) as string[]).map((each) => `aerekos:${each}`);
  const local = useResources(ROLE_BINDINGS).items;
  const wide = useResources(CLUSTER_ROLE_BINDINGS).items;
  const bound = bindingsOf(name, [...roles, 'system:authenticated'], local, wide);
  return (
    <>
      <Panel
        title="Roles of the cloud"
        right={
          <TextLink to={accessPage({ who: name })} strong={false}>
            What may they do?
          </TextLink>
        }
      >
        {roles.length + bound.length === 0 && (
          <Text style={text.soft}>None: only policies of IAM and role bindings can give them anything.</Text>
        )}
        {roles.map((role, index) => (
          <View key={role} style={[home.feedRow, index === 0 && home.itemFirst]}>
            <Text style={[text.strong, { width: 150 }]}>{role}</Text>
            <Text style={[text.soft, layout.grow]}>everywhere, by the roles of this user</Text>
          </View>
        ))}
        {bound.map((each, index) => (
          <Binding
            key={`${each.namespace}/${each.binding.metadata.name}`}
            bound={each}
            first={index + roles.length === 0}
          />
        ))}
      </Panel>
      <IamSide name={name} namespace={namespace} />
      <AccessKeys name={name} />
    </>
  );
}

function Binding({ bound, first }: { bound: Bound; first: boolean }) {
  const { binding, kind, role, namespace, through } = bound;
  return (
    <View style={[home.feedRow, first && home.itemFirst]}>
      <Text style={[text.strong, { width: 150 }]}>{role}</Text>
      <View style={layout.grow}>
        <Text style={text.soft}>
          {namespace ? `in ${namespace}` : 'everywhere'}
          {through ? `, through the group ${through}` : ''}
        </Text>
        <TextLink to={pageOf(kind, binding)} strong={false}>{`${kind.kind} ${binding.metadata.name}`}</TextLink>
      </View>
    </View>
  );
}

function IamSide({ name, namespace }: { name: string; namespace: string }) {
  const users = useResources(IAM_USERS).items;
  const groups = useResources(IAM_GROUPS).items;
  const policies = useResources(IAM_POLICIES).items;
  const side = users.find((each) => each.metadata.name === name && each.metadata.namespace === namespace);
  const held = policiesOf(side, groups, policies);
  const mine = (side?.spec?.groups ?? []) as string[];
  const boundary = side?.spec?.boundary as string | undefined;
  return (
    <Panel title="Policies of IAM" note={`account of ${namespace}`}>
      <View style={layout.stackWide}>
        {mine.length > 0 && (
          <View style={layout.wrap}>
            <Text style={text.label}>Groups</Text>
            {mine.map((each) => (
              <GroupLink key={each} name={each} group={groups.find((one) => one.spec?.groupName === each)} />
            ))}
          </View>
        )}
        {boundary ? (
          <View style={layout.wrap}>
            <Text style={text.label}>Boundary</Text>
            <Text selectable style={[text.small, { overflowWrap: 'anywhere' }]}>
              {boundary}
            </Text>
          </View>
        ) : null}
        <HeldPolicies held={held} none="IAM has no policy of them: roles alone decide." />
      </View>
    </Panel>
  );
}

function GroupLink({ name, group }: { name: string; group: Resource | undefined }) {
  if (!group) return <Text style={text.small}>{name}</Text>;
  return (
    <TextLink to={pageOf(IAM_GROUPS, group)} strong={false}>
      {name}
    </TextLink>
  );
}

interface AccessKey {
  accessKeyId: string;
  state: 'Active' | 'Inactive';
  createdAt?: string;
  lastUsedAt?: string;
  lastUsedService?: string;
}

/** Ids and last use alone: a secret is shown once, to whoever made the key. */
function AccessKeys({ name }: { name: string }) {
  const [keys, setKeys] = useState<readonly AccessKey[] | null>(null);
  const [refused, setRefused] = useState('');
  useEffect(() => {
    ask<{ accessKeys: AccessKey[] }>(`/auth/access-keys?user=${encodeURIComponent(name)}`).then(
      (found) => setKeys(found.accessKeys),
      (error: unknown) => setRefused(inWords(error).what),
    );
  }, [name]);
  return (
    <Panel title="Access keys" note="of AWS tools">
      {refused ? <Text style={text.soft}>{refused}</Text> : null}
      {keys?.length === 0 && <Text style={text.soft}>None.</Text>}
      {keys?.map((each, index) => (
        <View key={each.accessKeyId} style={[home.feedRow, index === 0 && home.itemFirst, { flexWrap: 'wrap' }]}>
          <Text selectable style={[text.mono, { minWidth: 200 }]}>
            {each.accessKeyId}
          </Text>
          <StatusMark health={each.state === 'Active' ? 'well' : 'idle'} word={each.state} />
          <Text style={[text.small, layout.grow]}>
            {each.lastUsedAt
              ? `used ${ago(each.lastUsedAt, Date.now())}${each.lastUsedService ? ` for ${each.lastUsedService}` : ''}`
              : 'never used'}
          </Text>
        </View>
      ))}
    </Panel>
  );
}
