import { useState } from 'react';
import { Text, View } from 'react-native';

import { useBeats } from '../hooks/useBeats';
import { useNow } from '../hooks/useNow';
import { useResources } from '../hooks/useResources';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { inWords } from '../utils/errors';
import { arrivals, invite, type Arrival, type Invitation } from '../utils/joining';
import { JOIN_TOKENS, WORKERS, type Worker } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { span } from '../utils/time';
import { Button } from './Button';
import { Snippet } from './CopyAs';
import { Dialog } from './Dialog';
import { Choice, Field } from './Field';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

const HOURS = [
  { value: '1', name: '1 hour' },
  { value: '24', name: '1 day' },
  { value: '168', name: '1 week' },
] as const;

/** Makes a join token, shows the command to run, once, and then who comes. */
export function JoinDialog({ onClose }: { onClose: () => void }) {
  const [invitation, setInvitation] = useState<Invitation | null>(null);
  return (
    <Dialog title="Join a machine" onClose={onClose}>
      {invitation ? <Waiting invitation={invitation} onClose={onClose} /> : <Form onMade={setInvitation} />}
    </Dialog>
  );
}

function Form({ onMade }: { onMade: (made: Invitation) => void }) {
  const [hours, setHours] = useState<(typeof HOURS)[number]['value']>('24');
  const [uses, setUses] = useState('1');
  const [error, setError] = useState('');
  const sound = /^\d+$/.test(uses);
  const make = async () => {
    try {
      setError('');
      onMade(await invite(Number(hours), Number(uses)));
    } catch (refused) {
      setError(inWords(refused).what);
    }
  };
  return (
    <>
      <View style={layout.stack}>
        <Text style={text.label}>Expires in</Text>
        <Choice label="Expires in" options={HOURS} chosen={hours} onChoose={setHours} />
      </View>
      <Field
        label="Machines"
        value={uses}
        onChange={setUses}
        numeric
        hint="How many machines may join with it; 0: any number."
        error={sound ? error : 'A whole number, please.'}
      />
      <Button label="Create join command" look="primary" disabled={!sound} onPress={() => void make()} id="make-line" />
    </>
  );
}

function Waiting({ invitation, onClose }: { invitation: Invitation; onClose: () => void }) {
  const local = /^(127\.|localhost)/.test(window.location.hostname);
  const token = useResources(JOIN_TOKENS).items.find((each) => each.metadata.name === invitation.token);
  const workers = useResources<Worker>(WORKERS).items;
  const beats = useBeats();
  const come = arrivals(token, workers, (name) => beats.has(name));
  return (
    <>
      <Text style={text.body}>Run this on the machine that joins. The command is shown this once.</Text>
      <Snippet name="Join command" code={invitation.line} />
      {local && !invitation.swarm && (
        <Text style={[text.small, { color: color.warn }]}>
          You reached the cloud at {window.location.hostname}. From another machine, replace that by this machine’s
          address, and let it listen there: AEREKOS_HOST=:: aerekos up --restart
        </Text>
      )}
      <View role="status" aria-live="polite" style={layout.stack} testID="arrivals">
        {come.length === 0 && <Nobody />}
        {come.map((each) => (
          <Come key={each.name} arrival={each} />
        ))}
      </View>
      {come.some((each) => each.step === 'ready') && <Button label="Done" look="primary" onPress={onClose} />}
    </>
  );
}

function Nobody() {
  const [began] = useState(Date.now);
  const now = useNow(1000);
  return (
    <View style={layout.between}>
      <StatusMark health="busy" word="Waiting for the machine to call" />
      <Text style={text.faint}>{span(Math.max(0, now - began) / 1000)}</Text>
    </View>
  );
}

const STEPS: [Arrival['step'], string][] = [
  ['named', 'token used'],
  ['heard', 'heartbeat received'],
  ['ready', 'ready, takes work'],
];

function Come({ arrival }: { arrival: Arrival }) {
  const reached = STEPS.findIndex(([step]) => step === arrival.step);
  return (
    <View style={layout.stack}>
      <View style={layout.row}>
        <TextLink to={pageOf(WORKERS, { metadata: { name: arrival.name } })}>{arrival.name}</TextLink>
      </View>
      {STEPS.map(([step, words], index) => (
        <StatusMark
          key={step}
          health={index <= reached ? 'well' : index === reached + 1 ? 'busy' : 'idle'}
          word={words}
        />
      ))}
    </View>
  );
}
