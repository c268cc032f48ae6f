import { useState } from 'react';
import { Text, View } from 'react-native';

import { useNow } from '../hooks/useNow';
import { forms } from '../styles/forms';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { bytes } from '../utils/quantities';
import { look, messageState, nameInArn, type End, type Look, type SeenMessage } from '../utils/queues';
import type { Resource } from '../utils/resources';
import { ago, momentTold } from '../utils/time';
import { Button } from './Button';
import { Failed } from './Empty';
import { Choice } from './Field';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';

const ENDS = [
  { value: 'oldest', name: 'Oldest first' },
  { value: 'newest', name: 'Newest first' },
] as const;
const FIRST = 10;
const MOST = 100;

/** What lies in a queue, once somebody wants to see it. To look receives nothing. */
export function QueueMessages({ queue }: { queue: Resource }) {
  const [from, setFrom] = useState<End>('oldest');
  const [limit, setLimit] = useState(FIRST);
  const [seen, setSeen] = useState<Look | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [reading, setReading] = useState(false);
  const read = async (end: End, most: number) => {
    setFrom(end);
    setLimit(most);
    setReading(true);
    try {
      setSeen(await look(queue, end, most));
      setError(null);
    } catch (refused) {
      setError(refused);
    } finally {
      setReading(false);
    }
  };
  const all = seen ? seen.visible + seen.inFlight + seen.delayed : 0;
  return (
    <Panel
      title="Look inside"
      note="hides nothing, counts as no receive"
      right={
        <Button
          label={seen ? 'Peek again' : 'Peek'}
          onPress={() => void read(from, limit)}
          disabled={reading}
          id="peek"
        />
      }
    >
      <View style={layout.stackWide}>
        {!seen && !error && (
          <Text style={text.soft}>Messages are read when you ask for them; the audit log tells who did.</Text>
        )}
        {error ? <Failed error={error} /> : null}
        {seen && (
          <>
            <View style={[layout.between, { flexWrap: 'wrap' }]}>
              <Choice label="Which messages" options={ENDS} chosen={from} onChoose={(end) => void read(end, limit)} />
              <Text style={text.small}>{`${seen.messages.length} of ${all.toLocaleString('en')}`}</Text>
            </View>
            {seen.messages.length === 0 && <Text style={text.soft}>Nothing is in it now.</Text>}
            <View role="list" aria-label="Messages">
              {seen.messages.map((each, index) => (
                <Message key={each.id} message={each} first={index === 0} />
              ))}
            </View>
            {seen.messages.length < Math.min(all, MOST) && (
              <Button label={`Show up to ${MOST}`} onPress={() => void read(from, MOST)} disabled={reading} />
            )}
          </>
        )}
      </View>
    </Panel>
  );
}

function Message({ message, first }: { message: SeenMessage; first: boolean }) {
  const now = useNow(1000);
  const { id, body, bytes: size, sentAt, receives, visibleAt, group, sender, failedIn, attributes } = message;
  const facts = [
    `sent ${ago(sentAt, now)}`,
    receives === 0 ? 'never received' : `received ${receives === 1 ? 'once' : `${receives} times`}`,
    bytes(size),
    group && `group ${group}`,
    sender && `by ${sender}`,
    failedIn && `failed in ${nameInArn(failedIn)}`,
    visibleAt && `back ${momentTold(visibleAt, now)}`,
  ].filter(Boolean);
  const cut = new TextEncoder().encode(body).length < size;
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexDirection: 'column' }]}>
      <View style={[layout.between, layout.whole, { flexWrap: 'wrap', rowGap: 2 }]}>
        <StatusMark {...messageState(message)} />
        <Text style={[text.small, layout.shrink]}>{facts.join(' · ')}</Text>
      </View>
      <View style={[forms.code, layout.whole]}>
        <Text selectable style={[text.mono, { overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }]}>
          {body}
        </Text>
      </View>
      {cut && <Text style={text.faint}>Its beginning; whoever receives it gets the whole of it.</Text>}
      {Object.entries(attributes).map(([name, { type, text: told, bytes: count }]) => (
        <Text key={name} selectable style={[text.small, { overflowWrap: 'anywhere' }]}>
          {`${name} (${type}): ${told ?? `${count} bytes`}`}
        </Text>
      ))}
      <Text selectable style={[text.faint, { overflowWrap: 'anywhere' }]}>
        {id}
      </Text>
    </View>
  );
}
