import { useState } from 'react';
import { Text, View } from 'react-native';

import { useAsked } from '../hooks/useAsked';
import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { useResources } from '../hooks/useResources';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { remove } from '../utils/actions';
import { inWords } from '../utils/errors';
import { askFirst } from '../utils/questions';
import {
  arnOf,
  isFifo,
  nameInArn,
  publish,
  readSubscriptions,
  subscriptionState,
  type SubscriptionSeen,
} from '../utils/queues';
import { SUBSCRIPTIONS, TOPICS, type Resource } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { ago } from '../utils/time';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Failed } from './Empty';
import { Field } from './Field';
import { Panel } from './Panel';
import { ServiceOff } from './ServiceOff';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

const LOOK_MS = 15_000;

/** A topic: who gets what is published, and how that goes. */
export function TopicPanels({ resource: topic }: { resource: Resource }) {
  const may = useMay(TOPICS, 'use', topic.metadata.namespace);
  const [open, setOpen] = useState(false);
  const told = useAsked(topic.metadata.uid ?? '', (signal) => readSubscriptions(topic, signal), LOOK_MS);
  return (
    <>
      <ServiceOff speaks="sns" what="Nothing is published" />
      <Panel
        title="Subscriptions"
        right={may ? <Button label="Publish" look="golden" onPress={() => setOpen(true)} id="publish" /> : undefined}
      >
        {told.error ? <Failed error={told.error} /> : null}
        {!told.value && !told.error && <Text style={text.soft}>Reading…</Text>}
        {told.value?.length === 0 && (
          <Text style={text.soft}>
            {`None: what is published goes nowhere. aws sns subscribe --topic-arn ${arnOf(topic)} --protocol sqs …`}
          </Text>
        )}
        <View role="list" aria-label="Subscriptions">
          {(told.value ?? []).map((each, index) => (
            <Subscription key={each.name} seen={each} topic={topic} first={index === 0} />
          ))}
        </View>
      </Panel>
      {open && <PublishDialog topic={topic} onClose={() => setOpen(false)} />}
    </>
  );
}

function Subscription({ seen, topic, first }: { seen: SubscriptionSeen; topic: Resource; first: boolean }) {
  const now = useNow(1000);
  const { namespace = 'default' } = topic.metadata;
  const may = useMay(SUBSCRIPTIONS, 'delete', namespace);
  const resource = useResources(SUBSCRIPTIONS).items.find(
    (each) => each.metadata.name === seen.name && each.metadata.namespace === namespace,
  );
  const where = seen.protocol === 'sqs' ? `queue ${nameInArn(seen.endpoint)}` : seen.endpoint;
  const about = [
    seen.waiting &&
      `${seen.waiting} wait${seen.oldest ? `, the oldest for ${ago(seen.oldest, now).replace(' ago', '')}` : ''}`,
    seen.fault && `last failed ${seen.failedAt ? ago(seen.failedAt, now) : ''}: ${seen.fault}`,
    seen.state === 'Pending' && 'It gets nothing before it opens the link that was sent to it.',
    resource?.spec?.rawDelivery && 'raw',
    resource?.spec?.filterPolicy && `only what fits ${resource.spec.filterPolicy as string}`,
  ].filter(Boolean);
  const end = () =>
    askFirst({
      title: 'End this subscription?',
      what: `${where} gets nothing more of ${topic.metadata.name}, also not what waits for it.`,
      action: 'End it',
      onYes: () => void remove(SUBSCRIPTIONS, resource!),
    });
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexWrap: 'wrap' }]}>
      <View style={[layout.grow, layout.tight, { minWidth: 220 }]}>
        <TextLink to={pageOf(SUBSCRIPTIONS, { metadata: { name: seen.name, namespace } })}>{where}</TextLink>
        {about.map((each) => (
          <Text key={String(each)} style={[text.small, { overflowWrap: 'anywhere' }]}>
            {each}
          </Text>
        ))}
      </View>
      <StatusMark {...subscriptionState(seen)} />
      {may && resource && (
        <Button label={`End the subscription of ${where}`} icon="trash" small look="danger" onPress={end} />
      )}
    </View>
  );
}

function PublishDialog({ topic, onClose }: { topic: Resource; onClose: () => void }) {
  const [message, setMessage] = useState('');
  const [subject, setSubject] = useState('');
  const [group, setGroup] = useState('');
  const [fault, setFault] = useState('');
  const go = () =>
    publish(topic, message, subject, group).then(onClose, (error: unknown) => {
      const { what, next } = inWords(error);
      setFault(`${what} ${next}`);
    });
  return (
    <Dialog title={`Publish to ${topic.metadata.name}`} onClose={onClose}>
      <Field label="Message" value={message} onChange={setMessage} lines={5} autoFocus error={fault} id="message" />
      <Field label="Subject" value={subject} onChange={setSubject} hint="May be left empty." />
      {isFifo(topic) && <Field label="Group" value={group} onChange={setGroup} />}
      <Button label="Publish" look="primary" onPress={() => void go()} disabled={!message} id="publish-it" />
    </Dialog>
  );
}
