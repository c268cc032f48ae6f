import { useState } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { useReveal } from '../hooks/useReveal';
import { useWho } from '../hooks/useSession';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { MANAGED_SECRETS, type Resource } from '../utils/resources';
import { SHOWN_MS, type Revealed } from '../utils/reveal';
import {
  dayTold,
  keyNameOf,
  labelOf,
  readValue,
  versionsOf,
  whyUnreadable,
  type SecretVersion,
} from '../utils/secrets';
import { momentTold } from '../utils/time';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { KeyLink } from './KeyLink';
import { Panel } from './Panel';
import { SecretValueView } from './SecretValueView';

/** The versions of a secret. A value is shown after a yes, for half a minute. */
export function SecretVersions({ secret }: { secret: Resource }) {
  const who = useWho();
  const may = useMay(MANAGED_SECRETS, 'use', secret.metadata.namespace);
  const [wanted, setWanted] = useState<SecretVersion | null>(null);
  const { revealed, show, hide } = useReveal((version, signal) => readValue(secret, version, signal));
  const versions = versionsOf(secret);
  const why = whyUnreadable(secret, who?.namespace ?? '', may);
  return (
    <Panel title="Versions" note={why}>
      {versions.length === 0 && (
        <Text
          style={text.soft}
        >{`It has no value yet: aws secretsmanager put-secret-value --secret-id ${labelOf(secret)} --secret-string …`}</Text>
      )}
      <View role="list" aria-label="Versions">
        {versions.map((each, index) => (
          <Version
            key={each.versionId}
            secret={secret}
            version={each}
            first={index === 0}
            revealed={revealed}
            onReveal={why ? undefined : () => setWanted(each)}
            onHide={hide}
          />
        ))}
      </View>
      {wanted && (
        <Confirm
          title={`Show a value of ${labelOf(secret)}`}
          what={warning(who?.name ?? '', wanted)}
          action="Show it"
          onYes={() => show(wanted.versionId)}
          onClose={() => setWanted(null)}
        />
      )}
    </Panel>
  );
}

function warning(who: string, { number, stages }: SecretVersion): string {
  const version = [`version ${number}`, ...stages].join(', ');
  return (
    `You, ${who}, and whoever sees this screen will see the value (${version}). The audit log tells that ${who} read it. ` +
    `It is hidden again after ${SHOWN_MS / 1000} s, and when you leave the page.`
  );
}

interface VersionProps {
  secret: Resource;
  version: SecretVersion;
  first: boolean;
  revealed: Revealed;
  onReveal?: () => void;
  onHide: () => void;
}

function Version({ secret, version, first, revealed, onReveal, onHide }: VersionProps) {
  const now = useNow(1000);
  const { number, stages, createdAt, accessedOn, key, versionId } = version;
  const mine = revealed.state !== 'hidden' && revealed.version === versionId;
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexDirection: 'column' }]}>
      <View style={[layout.between, layout.whole, { flexWrap: 'wrap' }]}>
        <View style={[layout.wrap, layout.shrink]}>
          <Text style={text.strong}>{`Version ${number}`}</Text>
          <Text style={text.small}>{stages.join(', ') || 'without a label: it goes when there is need of room'}</Text>
        </View>
        {onReveal && key !== '' && (
          <Button label={`Reveal version ${number}`} onPress={onReveal} id={`reveal-${number}`} />
        )}
      </View>
      <View style={layout.wrap}>
        <Text style={text.small}>{`made ${momentTold(createdAt, now)}`}</Text>
        <Text style={text.small}>{accessedOn ? `read ${dayTold(accessedOn)}` : 'never read'}</Text>
        {key ? <KeyLink name={keyNameOf(secret, key)} namespace={secret.metadata.namespace ?? 'default'} /> : null}
        {!key && <Text style={text.small}>no value yet: a rotation makes it</Text>}
      </View>
      <Text selectable style={[text.faint, { overflowWrap: 'anywhere' }]}>
        {versionId}
      </Text>
      {mine && (
        <View style={layout.whole}>
          <SecretValueView revealed={revealed} onHide={onHide} />
        </View>
      )}
    </View>
  );
}
