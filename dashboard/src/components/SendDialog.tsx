import { useState } from 'react';
import { Text } from 'react-native';

import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import { isFifo, labelOf, send, type NewMessage } from '../utils/queues';
import type { Resource } from '../utils/resources';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Field } from './Field';

const EMPTY: NewMessage = { body: '', group: '', deduplication: '', delay: '' };

/** One message into a queue; the dialog stays, for the next one. */
export function SendDialog({ queue, onClose }: { queue: Resource; onClose: () => void }) {
  const [message, setMessage] = useState(EMPTY);
  const [fault, setFault] = useState('');
  const set = (part: Partial<NewMessage>) => setMessage({ ...message, ...part });
  const fifo = isFifo(queue);
  const go = async () => {
    setFault(faultOf(message, fifo));
    if (faultOf(message, fifo)) return;
    try {
      await send(queue, message);
      set({ body: '', deduplication: '' });
    } catch (error) {
      const { what, next } = inWords(error);
      setFault(`${what} ${next}`);
    }
  };
  return (
    <Dialog title={`Send to ${labelOf(queue)}`} onClose={onClose}>
      <Field label="Body" value={message.body} onChange={(body) => set({ body })} lines={6} autoFocus id="body" />
      {fifo ? (
        <>
          <Field
            label="Group"
            value={message.group}
            onChange={(group) => set({ group })}
            hint="Messages of one group come one after the other."
            id="group"
          />
          <Field
            label="Deduplication id"
            value={message.deduplication}
            onChange={(deduplication) => set({ deduplication })}
            hint="The same within five minutes is sent once. Leave empty where the body decides."
          />
        </>
      ) : (
        <Field
          label="Delay (seconds)"
          value={message.delay}
          onChange={(delay) => set({ delay })}
          hint="Up to 900. Leave empty for what the queue says."
          numeric
        />
      )}
      {fault ? (
        <Text role="alert" style={text.soft}>
          {fault}
        </Text>
      ) : null}
      <Button label="Send" look="primary" onPress={() => void go()} id="send-it" />
    </Dialog>
  );
}

function faultOf({ body, group, delay }: NewMessage, fifo: boolean): string {
  if (!body) return 'A message has a body.';
  if (fifo && !group) return 'A message of a FIFO queue has a group.';
  return delay && !/^\d{1,3}$/.test(delay) ? 'The delay is a number of seconds, up to 900.' : '';
}
