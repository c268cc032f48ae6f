import { useState } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { useResources } from '../hooks/useResources';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { arnOf, isFifo, labelOf, nameInArn, purge, sourcesOf } from '../utils/queues';
import { QUEUES, type Resource } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { ago, span } from '../utils/time';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { DeadLetters } from './DeadLetters';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { QueueMessages } from './QueueMessages';
import { SendDialog } from './SendDialog';
import { ServiceOff } from './ServiceOff';
import { TextLink } from './TextLink';

/** A queue: how deep it is, what lies in it, what failed, and what can be done about that. */
export function QueuePanels({ resource: queue }: { resource: Resource }) {
  const { namespace = 'default' } = queue.metadata;
  const may = useMay(QUEUES, 'use', namespace);
  const near = useResources(QUEUES).items.filter((each) => (each.metadata.namespace ?? 'default') === namespace);
  const sources = sourcesOf(queue, near);
  return (
    <>
      <ServiceOff speaks="sqs" what="Its messages cannot be reached" />
      <State queue={queue} near={near} sources={sources} may={may} />
      {sources.length > 0 && <DeadLetters queue={queue} near={near} may={may} />}
      {may && <QueueMessages queue={queue} />}
    </>
  );
}

interface StateProps {
  queue: Resource;
  near: readonly Resource[];
  sources: readonly Resource[];
  may: boolean;
}

function State({ queue, near, sources, may }: StateProps) {
  const now = useNow(1000);
  const { spec = {}, status = {} } = queue;
  const redrive = spec.redrive as { deadLetterTargetArn: string; maxReceiveCount: number } | undefined;
  const count = (value: unknown) => (typeof value === 'number' ? value.toLocaleString('en') : 'not counted yet');
  return (
    <Panel title="Messages" note="as seen some seconds ago" right={may ? <Actions queue={queue} /> : undefined}>
      <Facts>
        {spec.queueName ? <Fact name="Name in AWS">{spec.queueName as string}</Fact> : null}
        <Fact name="Waiting">{count(status.visible)}</Fact>
        <Fact name="In flight">{count(status.inFlight)}</Fact>
        <Fact name="Delayed">{count(status.delayed)}</Fact>
        <Fact name="Oldest sent">{status.oldestSentAt ? ago(status.oldestSentAt, now) : 'none'}</Fact>
        <Fact name="Kept for">{span(spec.retentionSeconds ?? 345_600)}</Fact>
        <Fact name="Hidden once received">{span(spec.visibilityTimeoutSeconds ?? 30)}</Fact>
        <Fact name="Order">{isFifo(queue) ? 'of each group, each once' : 'none promised'}</Fact>
        <Fact name="Dead letters to">
          {redrive ? (
            <View style={layout.tight}>
              <QueueLink arn={redrive.deadLetterTargetArn} near={near} />
              <Text style={text.faint}>{`after ${redrive.maxReceiveCount} receives`}</Text>
            </View>
          ) : (
            'nowhere: what fails comes back until it is too old'
          )}
        </Fact>
        {sources.length > 0 && (
          <Fact name="Takes dead letters of">
            <View style={layout.tight}>
              {sources.map((each) => (
                <TextLink key={each.metadata.name} to={pageOf(QUEUES, each)} strong={false}>
                  {labelOf(each)}
                </TextLink>
              ))}
            </View>
          </Fact>
        )}
      </Facts>
    </Panel>
  );
}

function QueueLink({ arn, near }: { arn: string; near: readonly Resource[] }) {
  const found = near.find((each) => arnOf(each) === arn);
  if (!found) return <Text style={text.body}>{`${nameInArn(arn)}, which is not there`}</Text>;
  return (
    <TextLink to={pageOf(QUEUES, found)} strong={false}>
      {labelOf(found)}
    </TextLink>
  );
}

function Actions({ queue }: { queue: Resource }) {
  const [open, setOpen] = useState<'send' | 'purge' | null>(null);
  const { name } = queue.metadata;
  const close = () => setOpen(null);
  return (
    <View style={layout.wrap}>
      <Button label="Send a message" icon="plus" look="golden" onPress={() => setOpen('send')} id="send" />
      <Button label="Purge" icon="trash" look="danger" onPress={() => setOpen('purge')} id="purge" />
      {open === 'send' && <SendDialog queue={queue} onClose={close} />}
      {open === 'purge' && (
        <Confirm
          title={`Purge ${name}?`}
          what="All its messages are deleted, those in flight too. Nobody gets them back. The queue stays."
          typed={name}
          action="Purge it"
          onYes={() => void purge(queue)}
          onClose={close}
        />
      )}
    </View>
  );
}
