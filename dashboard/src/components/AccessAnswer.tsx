import { useEffect, useRef, type ReactNode } from 'react';
import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { access } from '../styles/access';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import {
  becauseOf,
  healthOf,
  sentence,
  wordOf,
  type Explanation,
  type PolicyDecision,
  type Reference,
  type RolesDecision,
} from '../utils/access';
import type { Health } from '../utils/health';
import { pageOf } from '../utils/routes';
import { Panel } from './Panel';
import { PolicyDocument } from './PolicyDocument';
import { Sign } from './Sign';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** Yes or no, why, and beside each other what roles and what policies say. */
export function AccessAnswer({ found }: { found: Explanation }) {
  const { allowed, reason, roles, policies, resourcePolicy } = found;
  const { phone } = useLayout();
  const seen = useRef<HTMLElement>(null);
  // On a phone it lies below the question.
  useEffect(() => {
    seen.current?.scrollIntoView({ block: phone ? 'start' : 'nearest' });
  }, [found, phone]);
  return (
    <>
      <View ref={seen} role="status" style={access.answer} testID="answer">
        <Sign health={allowed ? 'well' : 'bad'} size={40} />
        <View style={layout.shrink}>
          <Text style={access.answerWord}>{allowed ? 'Yes' : 'No'}</Text>
          <Text style={text.soft}>{sentence(reason)}</Text>
          {found.notConsidered ? <Text style={text.faint}>Not considered: {found.notConsidered}.</Text> : null}
        </View>
      </View>
      <View style={access.sides}>
        <Roles roles={roles} decided={found.decidedBy === 'roles'} />
        <Policies title="Policies" decision={policies} decided={found.decidedBy === 'policies'} />
        {resourcePolicy && (
          <Policies
            title="The resource’s own policy"
            decision={resourcePolicy}
            decided={found.decidedBy === 'resource-policy' || found.decidedBy === 'grant'}
          />
        )}
      </View>
    </>
  );
}

function Side({
  title,
  health,
  word,
  decided,
  children,
}: {
  title: string;
  health: Health;
  word: string;
  decided: boolean;
  children: ReactNode;
}) {
  return (
    <Panel title={title} note={decided ? 'decided' : undefined} right={<StatusMark health={health} word={word} />}>
      <View style={layout.stack}>{children}</View>
    </Panel>
  );
}

function Roles({ roles, decided }: { roles: RolesDecision; decided: boolean }) {
  const { verb, resource, namespace, name } = roles.asked;
  const target = [resource, name].filter(Boolean).join('/');
  return (
    <Side
      title="Roles"
      health={roles.allowed ? 'well' : 'idle'}
      word={roles.allowed ? 'Allow' : 'Silent'}
      decided={decided}
    >
      <Text style={text.soft}>{sentence(roles.reason)}</Text>
      {verb ? (
        <Text style={text.faint}>
          Asked for: {verb} {target}
          {namespace ? ` in ${namespace}` : ''}
        </Text>
      ) : null}
      {roles.role && <Where name="Role" reference={roles.role} />}
      {roles.binding && <Where name="Binding" reference={roles.binding} />}
      {/* What every role of the cloud allows is long, and no news. */}
      {roles.rule && roles.role?.kind !== 'Group' && (
        <Text selectable style={access.written}>
          {[
            `verbs      ${roles.rule.verbs.join(', ')}`,
            `groups     ${roles.rule.apiGroups.map((each) => each || 'core').join(', ')}`,
            `resources  ${roles.rule.resources.join(', ')}`,
            ...(roles.rule.resourceNames ? [`names      ${roles.rule.resourceNames.join(', ')}`] : []),
          ].join('\n')}
        </Text>
      )}
    </Side>
  );
}

/** Groups and manifests are no resources: they lead nowhere. */
function Where({ name, reference }: { name: string; reference: Reference }) {
  const plural = `${reference.kind.toLowerCase()}s`;
  const kind = { group: 'rbac.authorization.k8s.io', version: 'v1', plural, kind: reference.kind, namespaced: true };
  const page = pageOf(kind, { metadata: { name: reference.name, namespace: reference.namespace } });
  const leads = reference.kind.endsWith('Role') ? reference.kind === 'ClusterRole' : reference.kind.endsWith('Binding');
  return (
    <View style={layout.row}>
      <Text style={[text.label, { width: 70 }]}>{name}</Text>
      {leads ? (
        <TextLink to={page} strong={false}>{`${reference.kind} ${reference.name}`}</TextLink>
      ) : (
        <Text style={text.small}>{`${reference.kind} ${reference.name}`}</Text>
      )}
    </View>
  );
}

function Policies({ title, decision, decided }: { title: string; decision: PolicyDecision; decided: boolean }) {
  return (
    <Side title={title} health={healthOf(decision)} word={wordOf(decision)} decided={decided}>
      <Text style={text.soft}>{becauseOf(decision)}</Text>
      {decision.document && <PolicyDocument document={decision.document} deciding={decision.statement?.index} />}
    </Side>
  );
}
