import { useState } from 'react';
import { Text, View } from 'react-native';

import { useAsked } from '../hooks/useAsked';
import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { useReveal } from '../hooks/useReveal';
import { useWho } from '../hooks/useSession';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { setSpec } from '../utils/actions';
import { SECRETS, WEBHOOK_ENDPOINTS, type Resource } from '../utils/resources';
import { SHOWN_MS } from '../utils/reveal';
import { pageOf } from '../utils/routes';
import { ago } from '../utils/time';
import { enable, readSent, readSigningSecret, secretOf, standing, type MessageState } from '../utils/webhooks';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { Failed } from './Empty';
import { Fact, Facts } from './Facts';
import { Choice } from './Field';
import { Panel } from './Panel';
import { ReplayDialog } from './ReplayDialog';
import { SecretValueView } from './SecretValueView';
import { SentMessage } from './SentMessage';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

const LOOK_MS = 15_000;

/** A webhook endpoint: how it stands, what it was sent, how that went, and what its messages are signed with. */
export function WebhookPanels({ resource: endpoint }: { resource: Resource }) {
  return (
    <>
      <State endpoint={endpoint} />
      <Messages endpoint={endpoint} />
      <Signing endpoint={endpoint} />
    </>
  );
}

function State({ endpoint }: { endpoint: Resource }) {
  const now = useNow(1000);
  const { name, namespace } = endpoint.metadata;
  const may = useMay(WEBHOOK_ENDPOINTS, 'patch', namespace);
  const { spec = {}, status = {} } = endpoint;
  const { about, ...mark } = standing(endpoint);
  const on = spec.enabled !== false;
  const set = () =>
    void setSpec(
      WEBHOOK_ENDPOINTS,
      endpoint,
      { enabled: !on },
      on ? `${name} is paused: messages wait` : `${name} goes on`,
    );
  const since = status.disabledAt ?? status.failingSince;
  return (
    <Panel
      title="State"
      right={
        may ? (
          <View style={layout.wrap}>
            {status.disabledAt && (
              <Button label="Recover" look="golden" onPress={() => void enable(endpoint)} id="recover" />
            )}
            <Button label={on ? 'Pause' : 'Resume'} onPress={set} id="pause" />
          </View>
        ) : undefined
      }
    >
      <Facts>
        <Fact name="Now">
          <StatusMark {...mark} />
        </Fact>
        {since ? <Fact name="Since">{ago(since as string, now)}</Fact> : null}
        {about ? <Fact name="Why">{about}</Fact> : null}
        <Fact name="Posts to">{spec.url as string}</Fact>
        <Fact name="Types">{((spec.types ?? []) as string[]).join(', ') || 'all'}</Fact>
        <Fact name="Written as">{(spec.format ?? 'StandardWebhooks') as string}</Fact>
      </Facts>
    </Panel>
  );
}

const STATES = [
  { value: '', name: 'All' },
  { value: 'Waiting', name: 'Waiting' },
  { value: 'Delivered', name: 'Delivered' },
  { value: 'Failed', name: 'Failed' },
] as const;

function Messages({ endpoint }: { endpoint: Resource }) {
  const { namespace, uid = '' } = endpoint.metadata;
  const may = useMay(WEBHOOK_ENDPOINTS, 'patch', namespace);
  const [state, setState] = useState<MessageState | ''>('');
  const [replaying, setReplaying] = useState(false);
  const told = useAsked(`${uid} ${state}`, (signal) => readSent(endpoint, state, signal), LOOK_MS);
  const counts = told.value?.counts;
  const choices = STATES.map(({ value, name }) => ({
    value,
    name: value && counts ? `${name} ${counts[value].toLocaleString('en')}` : name,
  }));
  return (
    <Panel
      title="Messages"
      note="the newest fifty"
      right={may ? <Button label="Send again by time" onPress={() => setReplaying(true)} id="replay" /> : undefined}
    >
      <View style={layout.stack}>
        <Choice label="Which messages" options={choices} chosen={state} onChoose={setState} />
        {told.error ? <Failed error={told.error} /> : null}
        {!told.value && !told.error && <Text style={text.soft}>Reading…</Text>}
        {told.value?.messages.length === 0 && <Text style={text.soft}>None is kept.</Text>}
        <View role="list" aria-label="Messages">
          {(told.value?.messages ?? []).map((each, index) => (
            <SentMessage
              key={each.id}
              endpoint={endpoint}
              message={each}
              first={index === 0}
              may={may}
              onReplayed={told.again}
            />
          ))}
        </View>
      </View>
      {replaying && <ReplayDialog endpoint={endpoint} onDone={told.again} onClose={() => setReplaying(false)} />}
    </Panel>
  );
}

function Signing({ endpoint }: { endpoint: Resource }) {
  const who = useWho();
  const { name, namespace = 'default' } = endpoint.metadata;
  const may = useMay(SECRETS, 'list', namespace);
  const mayChange = useMay(WEBHOOK_ENDPOINTS, 'patch', namespace);
  const [asking, setAsking] = useState<'reveal' | 'rotate' | null>(null);
  const { revealed, show, hide } = useReveal((_version, signal) => readSigningSecret(endpoint, signal));
  const next = ((endpoint.spec?.secretVersion ?? 1) as number) + 1;
  const hours = (endpoint.spec?.secretOverlapHours ?? 24) as number;
  const rotate = () =>
    void setSpec(WEBHOOK_ENDPOINTS, endpoint, { secretVersion: next }, `${name} signs with another secret`);
  return (
    <Panel
      title="Signing secret"
      right={
        <View style={layout.wrap}>
          {may && <Button label="Reveal" onPress={() => setAsking('reveal')} id="reveal" />}
          {mayChange && <Button label="New secret" onPress={() => setAsking('rotate')} />}
        </View>
      }
    >
      <View style={layout.stack}>
        <TextLink to={pageOf(SECRETS, { metadata: { name: secretOf(endpoint), namespace } })} strong={false}>
          {`Secret ${secretOf(endpoint)}`}
        </TextLink>
        {!may && <Text style={text.soft}>It is shown to whoever may read Secrets here.</Text>}
        {revealed.state !== 'hidden' && <SecretValueView revealed={revealed} onHide={hide} />}
      </View>
      {asking === 'reveal' && (
        <Confirm
          title={`Show what signs for ${name}`}
          what={
            `You, ${who?.name ?? ''}, and whoever sees this screen will see it. The audit log tells that you read it. ` +
            `It is hidden again after ${SHOWN_MS / 1000} s, and when you leave the page.`
          }
          action="Show it"
          onYes={() => show('secret')}
          onClose={() => setAsking(null)}
        />
      )}
      {asking === 'rotate' && (
        <Confirm
          title={`Another secret for ${name}?`}
          what={`Messages are signed with both for ${hours} h: give the new one to the receiver within that time.`}
          action="Make it"
          onYes={rotate}
          onClose={() => setAsking(null)}
        />
      )}
    </Panel>
  );
}
