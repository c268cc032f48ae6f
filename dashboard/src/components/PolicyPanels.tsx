import { Text, View } from 'react-native';

import { useResources } from '../hooks/useResources';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { currentDocument, policiesOf } from '../utils/identities';
import {
  IAM_GROUPS,
  IAM_POLICIES,
  IAM_ROLES,
  IAM_USERS,
  isSame,
  USERS,
  type Kind,
  type Resource,
} from '../utils/resources';
import { pageOf } from '../utils/routes';
import { HeldPolicies } from './HeldPolicies';
import { Panel } from './Panel';
import { PolicyDocument } from './PolicyDocument';
import { TextLink } from './TextLink';

/** A user, group, role or policy of IAM: the documents, and who has them. */
export function PolicyPanels({ kind, resource }: { kind: Kind; resource: Resource }) {
  if (isSame(kind, IAM_POLICIES)) return <Managed policy={resource} />;
  return <Holder kind={kind} holder={resource} />;
}

function Managed({ policy }: { policy: Resource }) {
  const users = useResources(IAM_USERS).items;
  const groups = useResources(IAM_GROUPS).items;
  const roles = useResources(IAM_ROLES).items;
  const { spec } = policy;
  const end = `:policy${spec.path ?? '/'}${spec.policyName}`;
  const has = (each: Resource) =>
    each.metadata.namespace === policy.metadata.namespace &&
    [...((each.spec?.attached ?? []) as string[]), each.spec?.boundary ?? ''].some((arn: string) => arn.endsWith(end));
  const holders = [
    ...users.filter(has).map((each) => ({ kind: IAM_USERS, each })),
    ...groups.filter(has).map((each) => ({ kind: IAM_GROUPS, each })),
    ...roles.filter(has).map((each) => ({ kind: IAM_ROLES, each })),
  ];
  return (
    <>
      <Panel
        title="Document"
        note={`version ${spec.defaultVersion ?? 1} of ${(spec.versions ?? []).length}`}
        right={
          <TextLink to="/ui/access" strong={false}>
            Try it
          </TextLink>
        }
      >
        <PolicyDocument document={currentDocument(policy)} />
      </Panel>
      <Panel title="Attached to">
        <View style={layout.stack}>
          {holders.length === 0 && <Text style={text.soft}>Nobody: it decides about nothing.</Text>}
          {holders.map(({ kind, each }) => (
            <TextLink key={`${kind.plural}/${each.metadata.name}`} to={pageOf(kind, each)} strong={false}>
              {`${kind.kind} ${each.metadata.name}`}
            </TextLink>
          ))}
        </View>
      </Panel>
    </>
  );
}

function Holder({ kind, holder }: { kind: Kind; holder: Resource }) {
  const groups = useResources(IAM_GROUPS).items;
  const policies = useResources(IAM_POLICIES).items;
  const held = policiesOf(holder, groups, policies);
  return (
    <>
      {isSame(kind, IAM_USERS) && (
        <Panel title="The person">
          <TextLink to={pageOf(USERS, { metadata: { name: holder.metadata.name } })} strong={false}>
            {`User ${holder.metadata.name}: roles, access keys`}
          </TextLink>
        </Panel>
      )}
      {isSame(kind, IAM_ROLES) && (
        <Panel title="Trust" note="who may become it">
          <PolicyDocument document={(holder.spec?.trust as string | undefined) ?? ''} />
        </Panel>
      )}
      <Panel title="Policies">
        <HeldPolicies held={held} none="None: it gives nothing." />
      </Panel>
      {isSame(kind, IAM_GROUPS) && <Members group={holder} />}
    </>
  );
}

function Members({ group }: { group: Resource }) {
  const all = useResources(IAM_USERS).items;
  const members = all.filter(
    (each) =>
      each.metadata.namespace === group.metadata.namespace &&
      ((each.spec?.groups ?? []) as string[]).includes(group.spec?.groupName),
  );
  return (
    <Panel title="Members">
      <View style={layout.stack}>
        {members.length === 0 && <Text style={text.soft}>Nobody is in it.</Text>}
        {members.map((each) => (
          <TextLink
            key={each.metadata.name}
            to={pageOf(USERS, { metadata: { name: each.metadata.name } })}
            strong={false}
          >
            {each.metadata.name}
          </TextLink>
        ))}
      </View>
    </Panel>
  );
}
