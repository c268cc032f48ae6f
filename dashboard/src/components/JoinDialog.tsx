import { useState } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { inWords } from '../utils/errors';
import { joinLine } from '../utils/joining';
import { Button } from './Button';
import { Snippet } from './CopyAs';
import { Dialog } from './Dialog';
import { Choice, Field } from './Field';

const HOURS = [
  { value: '1', name: '1 hour' },
  { value: '24', name: '1 day' },
  { value: '168', name: '1 week' },
] as const;

/** Makes a join token and shows the line to run, once. */
export function JoinDialog({ onClose }: { onClose: () => void }) {
  const [hours, setHours] = useState<(typeof HOURS)[number]['value']>('24');
  const [uses, setUses] = useState('1');
  const [line, setLine] = useState('');
  const [error, setError] = useState('');
  const make = async () => {
    try {
      setError('');
      setLine(await joinLine(Number(hours), Number(uses)));
    } catch (refused) {
      setError(inWords(refused).what);
    }
  };
  const local = /^(127\.|localhost)/.test(window.location.hostname);
  return (
    <Dialog title="Join a machine" onClose={onClose}>
      {line ? (
        <>
          <Text style={text.body}>
            Run this on the machine that joins. It appears among the workers within seconds. The line is shown this
            once.
          </Text>
          <Snippet name="Line" code={line} />
          {local && (
            <Text style={[text.small, { color: color.warn }]}>
              You reached the cloud at {window.location.hostname}. From another machine, replace that by this machine’s
              address, and let it listen there: AEREKOS_HOST=0.0.0.0 aerekos up
            </Text>
          )}
        </>
      ) : (
        <>
          <View style={layout.stack}>
            <Text style={text.label}>Good for</Text>
            <Choice label="Good for" options={HOURS} chosen={hours} onChoose={setHours} />
          </View>
          <Field
            label="Machines"
            value={uses}
            onChange={setUses}
            numeric
            hint="How many machines may join with it; 0: any number."
            error={/^\d+$/.test(uses) ? error : 'A whole number, please.'}
          />
          <Button label="Make the line" look="primary" disabled={!/^\d+$/.test(uses)} onPress={() => void make()} />
        </>
      )}
    </Dialog>
  );
}
