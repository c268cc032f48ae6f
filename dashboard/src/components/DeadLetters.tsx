import { useState } from 'react';
import { Text, View } from 'react-native';

import { useAsked } from '../hooks/useAsked';
import { useNow } from '../hooks/useNow';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { askFirst } from '../utils/questions';
import {
  arnOf,
  cancelMove,
  failureTold,
  isFifo,
  labelOf,
  readFailures,
  readTasks,
  redrive,
  taskTold,
  type MoveTask,
} from '../utils/queues';
import type { Resource } from '../utils/resources';
import { ago } from '../utils/time';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Failed } from './Empty';
import { Choice, Field } from './Field';
import { Meter } from './Meter';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';

const LOOK_MS = 2000;
interface Props {
  queue: Resource;
  near: readonly Resource[];
  may: boolean;
}

/** What failed elsewhere and ended here: why, and the way back. */
export function DeadLetters({ queue, near, may }: Props) {
  const [moving, setMoving] = useState(false);
  const [going, setGoing] = useState(false);
  const tasks = useAsked(
    arnOf(queue),
    async (signal) => {
      const found = await readTasks(queue, signal);
      setGoing(found.some((each) => each.Status === 'RUNNING'));
      return found;
    },
    going ? LOOK_MS : 0,
  );
  const count = (queue.status?.visible ?? 0) as number;
  const back = (
    <Button
      label="Send back"
      icon="up"
      look="golden"
      onPress={() => setMoving(true)}
      disabled={going || count === 0}
      id="redrive"
    />
  );
  return (
    <Panel title="Dead letters" right={may ? back : undefined}>
      <View style={layout.stackWide}>
        {may ? (
          <Failures queue={queue} />
        ) : (
          <Text style={text.soft}>Why they failed is told to whoever may receive them.</Text>
        )}
        {tasks.error ? <Failed error={tasks.error} /> : null}
        {(tasks.value ?? []).length > 0 && (
          <View role="list" aria-label="Ways back">
            {tasks.value!.map((each, index) => (
              <Task key={each.StartedTimestamp} task={each} first={index === 0} may={may} onChanged={tasks.again} />
            ))}
          </View>
        )}
      </View>
      {moving && <Redrive queue={queue} near={near} onBegun={tasks.again} onClose={() => setMoving(false)} />}
    </Panel>
  );
}

function Failures({ queue }: { queue: Resource }) {
  const now = useNow(1000);
  const { visible, inFlight, delayed } = queue.status ?? {};
  const told = useAsked(`${arnOf(queue)} ${visible} ${inFlight} ${delayed}`, (signal) => readFailures(queue, signal));
  if (told.error) return <Failed error={told.error} />;
  if (!told.value) return <Text style={text.soft}>Reading…</Text>;
  const { failures, looked } = told.value;
  if (failures.length === 0) return <Text style={text.soft}>None: nothing failed, or it went back.</Text>;
  return (
    <View style={layout.stack}>
      <View role="list" aria-label="Why">
        {failures.map((each, index) => (
          <View key={failureTold(each)} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst]}>
            <Text style={[text.strong, { minWidth: 64 }]}>{each.messages.toLocaleString('en')}</Text>
            <Text style={[text.body, layout.grow, { overflowWrap: 'anywhere' }]}>{failureTold(each)}</Text>
            <Text style={text.small}>{`oldest ${ago(each.oldest, now)}`}</Text>
          </View>
        ))}
      </View>
      {looked >= 1000 && <Text style={text.faint}>{`Of the oldest ${looked.toLocaleString('en')}.`}</Text>}
    </View>
  );
}

interface TaskProps {
  task: MoveTask;
  first: boolean;
  may: boolean;
  onChanged: () => void;
}

function Task({ task, first, may, onChanged }: TaskProps) {
  const now = useNow(1000);
  const { health, word, about } = taskTold(task);
  const running = task.Status === 'RUNNING';
  const stop = () =>
    askFirst({
      title: 'Stop sending back?',
      what: 'What has been sent back stays there, the rest stays here.',
      action: 'Stop it',
      onYes: () => void cancelMove(task).then(onChanged),
    });
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { flexDirection: 'column' }]}>
      <View style={[layout.between, layout.whole, { flexWrap: 'wrap' }]}>
        <StatusMark health={health} word={word} />
        <View style={layout.wrap}>
          <Text style={text.small}>{`begun ${ago(task.StartedTimestamp, now)}`}</Text>
          {running && may && <Button label="Stop" onPress={stop} />}
        </View>
      </View>
      <Text style={[text.body, layout.whole, { overflowWrap: 'anywhere' }]}>{about}</Text>
      {running && (
        <View style={layout.whole}>
          <Meter
            label="Sent back"
            part={task.ApproximateNumberOfMessagesMoved}
            whole={task.ApproximateNumberOfMessagesToMove}
            told={`${task.ApproximateNumberOfMessagesMoved} of ${task.ApproximateNumberOfMessagesToMove}`}
          />
        </View>
      )}
    </View>
  );
}

interface RedriveProps {
  queue: Resource;
  near: readonly Resource[];
  onBegun: () => void;
  onClose: () => void;
}

function Redrive({ queue, near, onBegun, onClose }: RedriveProps) {
  const [rate, setRate] = useState('');
  const [to, setTo] = useState('');
  const fit = near.filter(
    (each) => arnOf(each) && each.metadata.uid !== queue.metadata.uid && isFifo(each) === isFifo(queue),
  );
  const wrong = rate !== '' && !/^([1-9]\d?|[1-4]\d\d|500)$/.test(rate);
  const begin = () =>
    void redrive(queue, Number(rate), to).then((begun) => {
      onBegun();
      if (begun) onClose();
    });
  return (
    <Dialog title={`Send back from ${labelOf(queue)}`} onClose={onClose}>
      <Text style={text.body}>
        Each waiting message becomes a new one, received never. What fails again comes back here.
      </Text>
      <Text style={text.label}>Where to</Text>
      <Choice
        label="Where to"
        options={[
          { value: '', name: 'Where each failed' },
          ...fit.map((each) => ({ value: arnOf(each), name: labelOf(each) })),
        ]}
        chosen={to}
        onChoose={setTo}
      />
      <Field
        label="Messages a second"
        value={rate}
        onChange={setRate}
        error={wrong ? 'A number from 1 to 500.' : ''}
        hint="Leave empty for as fast as it goes."
        numeric
        id="rate"
      />
      <Button label="Send back" look="primary" onPress={begin} disabled={wrong} id="redrive-it" />
    </Dialog>
  );
}
