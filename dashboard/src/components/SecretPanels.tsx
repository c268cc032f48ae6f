import { useState } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { accessPage } from '../utils/access';
import { setSpec } from '../utils/actions';
import { askFirst } from '../utils/questions';
import { MANAGED_SECRETS, SECRETS, type Resource } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { dayTold, deliveryOf, keyNameOf, labelOf, rotateSecret, rotationOf } from '../utils/secrets';
import { ago, momentTold } from '../utils/time';
import { AuditUses } from './AuditUses';
import { Button } from './Button';
import { Fact, Facts } from './Facts';
import { KeyLink } from './KeyLink';
import { Panel } from './Panel';
import { PolicyDocument } from './PolicyDocument';
import { SecretVersions } from './SecretVersions';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** A secret: its versions, its key, what rotates it and where it is delivered. Values are shown to whoever asks. */
export function SecretPanels({ secret }: { secret: Resource }) {
  const arn = (secret.status?.arn ?? '') as string;
  return (
    <>
      <State secret={secret} />
      <SecretVersions key={arn} secret={secret} />
      <Rotation secret={secret} />
      <Delivery secret={secret} />
      <Readers secret={secret} />
      <AuditUses arn={arn} />
    </>
  );
}

function State({ secret }: { secret: Resource }) {
  const now = useNow(1000);
  const may = useMay(MANAGED_SECRETS, 'patch', secret.metadata.namespace);
  const { spec = {}, status = {} } = secret;
  const keep = () => void setSpec(MANAGED_SECRETS, secret, { deletionDate: null }, `${labelOf(secret)} is restored`);
  return (
    <Panel
      title="State"
      right={spec.deletionDate ? <StatusMark health="warn" word="Scheduled for deletion" /> : undefined}
    >
      <Facts>
        <Fact name="Name in AWS">{labelOf(secret)}</Fact>
        {spec.region ? <Fact name="Region">{spec.region as string}</Fact> : null}
        <Fact name="Key">
          <KeyLink name={keyNameOf(secret)} namespace={secret.metadata.namespace ?? 'default'} />
        </Fact>
        <Fact name="Value changed">{status.changedAt ? ago(status.changedAt, now) : 'never'}</Fact>
        <Fact name="Last read">{dayTold(status.accessedOn)}</Fact>
        {spec.deletionDate ? (
          <Fact name="Lost with all its values">
            <View style={layout.wrap}>
              <Text style={text.body}>{momentTold(spec.deletionDate, now)}</Text>
              {may && <Button label="Restore" look="primary" onPress={keep} id="restore" />}
            </View>
          </Fact>
        ) : null}
      </Facts>
    </Panel>
  );
}

function Rotation({ secret }: { secret: Resource }) {
  const now = useNow(1000);
  const may = useMay(MANAGED_SECRETS, 'patch', secret.metadata.namespace);
  const rotation = rotationOf(secret);
  if (!rotation) {
    return (
      <Panel title="Rotation">
        <Text style={text.soft}>Nothing rotates it: its value changes when somebody puts another one.</Text>
      </Panel>
    );
  }
  const { status = {} } = secret;
  return (
    <Panel title="Rotation" right={<StatusMark health={rotation.health} word={rotation.word} />}>
      <View style={layout.stackWide}>
        {rotation.about ? <Text style={text.body}>{rotation.about}</Text> : null}
        <Facts>
          <Fact name="When">{rotation.rules}</Fact>
          <Fact name="By">{rotation.by}</Fact>
          <Fact name="Next">{status.nextRotationAt ? momentTold(status.nextRotationAt, now) : 'not planned'}</Fact>
          <Fact name="Last">{status.rotatedAt ? ago(status.rotatedAt, now) : 'never'}</Fact>
        </Facts>
        {may && rotation.startable && <RotateNow secret={secret} by={rotation.by} />}
      </View>
    </Panel>
  );
}

function RotateNow({ secret, by }: { secret: Resource; by: string }) {
  const [asking, setAsking] = useState(false);
  const begin = () => {
    setAsking(true);
    void rotateSecret(secret).finally(() => setAsking(false));
  };
  const cancelled = secret.spec?.rotation?.enabled === false;
  const what = `${by} changes it now. ${cancelled ? 'Its rotation was cancelled, and goes on from then. ' : ''}Whoever keeps the value of today has to read it again.`;
  const ask = () => askFirst({ title: `Rotate ${labelOf(secret)}`, what, action: 'Rotate it', onYes: begin });
  return (
    <View style={layout.row}>
      <Button label="Rotate now" onPress={ask} disabled={asking} id="rotate" />
    </View>
  );
}

function Delivery({ secret }: { secret: Resource }) {
  const delivery = deliveryOf(secret);
  if (!delivery) return null;
  const { namespace } = secret.metadata;
  return (
    <Panel title="Delivery" right={<StatusMark health={delivery.health} word={delivery.word} />}>
      <View style={layout.stack}>
        <TextLink to={pageOf(SECRETS, { metadata: { name: delivery.secret, namespace } })} strong={false}>
          {`Secret ${delivery.secret}`}
        </TextLink>
        {delivery.about ? <Text style={text.soft}>{delivery.about}</Text> : null}
      </View>
    </Panel>
  );
}

function Readers({ secret }: { secret: Resource }) {
  const { namespace = 'default' } = secret.metadata;
  const policy = (secret.spec?.policy ?? '') as string;
  const what = (secret.status?.arn ?? '') as string;
  return (
    <Panel
      title="Who may read it"
      right={
        what ? (
          <TextLink to={accessPage({ does: 'secretsmanager:GetSecretValue', what, namespace }, 'who')} strong={false}>
            Everybody who may
          </TextLink>
        ) : undefined
      }
    >
      {policy ? (
        <PolicyDocument document={policy} />
      ) : (
        <Text style={text.soft}>It has no policy of its own: roles of the cloud and policies of IAM decide.</Text>
      )}
    </Panel>
  );
}
