import { Text, View } from 'react-native';

import { useAsked } from '../hooks/useAsked';
import { useNow } from '../hooks/useNow';
import { useObservable } from '../hooks/useObservable';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import { discard, unfinished, type Unfinished } from '../utils/multipart';
import { askFirst } from '../utils/questions';
import { ago } from '../utils/time';
import { say } from '../utils/toasts';
import { uploads } from '../utils/uploads';
import { Button } from './Button';

const SHOWN = 5;

/** Large files of which a part has arrived: how to go on with them, or to let go of that part. */
export function UnfinishedUploads({ bucket, prefix }: { bucket: string; prefix: string }) {
  const now = useNow(1000);
  const going = useObservable(uploads).filter((each) => each.bucket === bucket);
  const told = useAsked(`${bucket}/${prefix} ${going.length}`, (signal) => unfinished(bucket, prefix, signal));
  const idle = (told.value ?? []).filter((each) => !going.some(({ key }) => key === each.key));
  if (idle.length === 0) return null;
  const end = (each: Unfinished) =>
    askFirst({
      title: `Discard what arrived of ${each.key}?`,
      what: 'It cannot be gone on with then; what is stored under that name stays.',
      action: 'Discard it',
      onYes: () =>
        void discard(bucket, each).then(told.again, (error: unknown) =>
          say('bad', `Not discarded: ${inWords(error).what}`, inWords(error).next),
        ),
    });
  return (
    <View role="list" aria-label="Unfinished uploads" style={layout.stack}>
      {idle.slice(0, SHOWN).map((each) => (
        <View key={each.id} role="listitem" style={[layout.between, { flexWrap: 'wrap' }]}>
          <Text style={[text.small, layout.shrink, { overflowWrap: 'anywhere' }]}>
            {`${each.key} is not whole, begun ${ago(each.begun, now)}: choose the same file again, and it goes on where it stopped.`}
          </Text>
          <Button label={`Discard ${each.key}`} icon="trash" small look="danger" onPress={() => end(each)} />
        </View>
      ))}
      {idle.length > SHOWN && <Text style={text.small}>{`${idle.length - SHOWN} more are not whole`}</Text>}
    </View>
  );
}
