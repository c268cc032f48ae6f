import { Text, View } from 'react-native';

import { useNow } from '../hooks/useNow';
import { useResources } from '../hooks/useResources';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { accessPage } from '../utils/access';
import { healthOfWord } from '../utils/health';
import { KEY_ALIASES, KEY_GRANTS, type Resource } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { ago, momentTold } from '../utils/time';
import { AuditUses } from './AuditUses';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { PolicyDocument } from './PolicyDocument';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** A key: what it is and does now, who may use it and who did. Its material is shown nowhere. */
export function KeyPanels({ key_ }: { key_: Resource }) {
  const { name, namespace = 'default' } = key_.metadata;
  const arn = (key_.status?.arn ?? '') as string;
  const policy = (key_.spec?.policy ?? '') as string;
  return (
    <>
      <State key_={key_} />
      <Panel
        title="Who may use it"
        right={
          <TextLink
            to={accessPage({ does: 'kms:Decrypt', what: arn || `key/${name}`, namespace }, 'who')}
            strong={false}
          >
            Everybody who may
          </TextLink>
        }
      >
        <View style={layout.stackWide}>
          {policy ? (
            <PolicyDocument document={policy} />
          ) : (
            <Text style={text.soft}>It has no policy of its own: roles of the cloud and policies of IAM decide.</Text>
          )}
          <Grants name={name} namespace={namespace} />
        </View>
      </Panel>
      <AuditUses arn={arn} />
    </>
  );
}

function State({ key_ }: { key_: Resource }) {
  const now = useNow(1000);
  const { status = {}, spec = {} } = key_;
  const aliases = useResources(KEY_ALIASES).items.filter(
    (each) => each.spec?.key === key_.metadata.name && each.metadata.namespace === key_.metadata.namespace,
  );
  const rotates = spec.rotateEvery ? `every ${spec.rotateEvery} days` : 'by hand';
  return (
    <Panel
      title="State"
      right={<StatusMark health={healthOfWord(status.keyState ?? '')} word={status.keyState ?? 'unknown'} />}
    >
      <Facts>
        <Fact name="Aliases">
          <View style={layout.tight}>
            {aliases.length === 0 && <Text style={text.soft}>none</Text>}
            {aliases.map((each) => (
              <TextLink key={each.metadata.name} to={pageOf(KEY_ALIASES, each)} strong={false}>
                {each.spec.aliasName as string}
              </TextLink>
            ))}
          </View>
        </Fact>
        <Fact name="Does">{`${spec.usage ?? 'ENCRYPT_DECRYPT'} · ${spec.keySpec ?? 'SYMMETRIC_DEFAULT'}`}</Fact>
        <Fact name="Rotates">{rotates}</Fact>
        <Fact name="Rotations">{Math.max(0, (status.currentVersion ?? 1) - 1)}</Fact>
        <Fact name="Last rotation">{status.rotatedAt ? ago(status.rotatedAt, now) : 'never'}</Fact>
        {status.nextRotationAt ? <Fact name="Next rotation">{momentTold(status.nextRotationAt, now)}</Fact> : null}
        {spec.deletionDate ? <Fact name="Lost with all it sealed">{momentTold(spec.deletionDate, now)}</Fact> : null}
      </Facts>
    </Panel>
  );
}

function Grants({ name, namespace }: { name: string; namespace: string }) {
  const all = useResources(KEY_GRANTS).items;
  const grants = all.filter((each) => each.spec?.key === name && each.metadata.namespace === namespace);
  if (grants.length === 0) return <Text style={text.faint}>No grants.</Text>;
  return (
    <View role="list" aria-label="Grants">
      {grants.map((each, index) => (
        <View key={each.metadata.name} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst]}>
          <View style={layout.grow}>
            <Text selectable style={[text.small, { overflowWrap: 'anywhere' }]}>
              {each.spec.grantee as string}
            </Text>
            <Text style={text.faint}>{(each.spec.operations as string[]).join(', ')}</Text>
          </View>
          <TextLink to={pageOf(KEY_GRANTS, each)} strong={false}>
            Grant
          </TextLink>
        </View>
      ))}
    </View>
  );
}
