import { useState } from 'react';
import { Text, View } from 'react-native';

import { useAsked } from '../hooks/useAsked';
import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { forms } from '../styles/forms';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import { bytes } from '../utils/quantities';
import { WEBHOOK_ENDPOINTS, type Resource } from '../utils/resources';
import { momentTold } from '../utils/time';
import { attemptTold, readAttempts, readContent, replay, sentState, type Sent } from '../utils/webhooks';
import { Button } from './Button';
import { StatusMark } from './StatusMark';

interface Props {
  endpoint: Resource;
  message: Sent;
  first: boolean;
  may: boolean;
  onReplayed: () => void;
}

/** A message to an endpoint; opened, each attempt, and what was sent once that is asked for. */
export function SentMessage({ endpoint, message, first, may, onReplayed }: Props) {
  const now = useNow(1000);
  const [open, setOpen] = useState(false);
  const { id, type, takenAt, attempts, fault, nextAttempt, state } = message;
  const facts = [
    `taken ${momentTold(takenAt, now)}`,
    bytes(message.bytes),
    attempts === 1 ? '1 attempt' : `${attempts} attempts`,
    nextAttempt && attempts > 0 && `next ${momentTold(nextAttempt, now)}`,
  ].filter(Boolean);
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexDirection: 'column', gap: 4 }]}>
      <View style={[layout.between, layout.whole, { flexWrap: 'wrap', rowGap: 4 }]}>
        <View style={[layout.wrap, layout.shrink]}>
          <StatusMark {...sentState(message)} />
          <Text style={[text.strong, { overflowWrap: 'anywhere' }]}>{type}</Text>
        </View>
        <View style={layout.wrap}>
          <Button
            label={open ? `Close ${id}` : `Attempts of ${id}`}
            icon={open ? 'up' : 'down'}
            small
            look="bare"
            onPress={() => setOpen(!open)}
          />
          {may && state !== 'Waiting' && (
            <Button label="Send again" onPress={() => void replay(endpoint, { ids: [id] }).then(onReplayed)} />
          )}
        </View>
      </View>
      <Text style={text.small}>{facts.join(' · ')}</Text>
      {fault ? <Text style={[text.small, { overflowWrap: 'anywhere' }]}>{fault}</Text> : null}
      <Text selectable style={[text.faint, { overflowWrap: 'anywhere' }]}>
        {id}
      </Text>
      {open && <More endpoint={endpoint} message={message} />}
    </View>
  );
}

function More({ endpoint, message }: { endpoint: Resource; message: Sent }) {
  const now = useNow(1000);
  const may = useMay(WEBHOOK_ENDPOINTS, 'use', endpoint.metadata.namespace);
  const { id, attempts } = message;
  const told = useAsked(`${id} ${attempts}`, (signal) => readAttempts(endpoint, id, signal));
  const [content, setContent] = useState('');
  const [fault, setFault] = useState('');
  const read = () =>
    readContent(endpoint, id).then(setContent, (error: unknown) => setFault(`Not read: ${inWords(error).what}`));
  return (
    <View style={[layout.stack, layout.whole]}>
      {told.error ? <Text role="alert" style={text.soft}>{`Not read: ${inWords(told.error).what}`}</Text> : null}
      {told.value?.length === 0 && <Text style={text.soft}>No attempt of it is remembered.</Text>}
      {(told.value ?? []).map((each) => (
        <View key={each.at} style={layout.wrap}>
          <Text style={[text.small, { minWidth: 120 }]}>{momentTold(each.at, now)}</Text>
          <Text style={[text.body, { overflowWrap: 'anywhere' }]}>{attemptTold(each)}</Text>
        </View>
      ))}
      {may && !content && (
        <View style={layout.row}>
          <Button label="Show what is sent" onPress={() => void read()} id="content" />
          <Text style={text.faint}>The audit log tells of it.</Text>
        </View>
      )}
      {fault ? (
        <Text role="alert" style={text.soft}>
          {fault}
        </Text>
      ) : null}
      {content ? (
        <View style={forms.code}>
          <Text selectable style={[text.mono, { overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }]}>
            {content}
          </Text>
        </View>
      ) : null}
    </View>
  );
}
