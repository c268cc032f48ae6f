import { Text, View } from 'react-native';

import { useNow } from '../hooks/useNow';
import { forms } from '../styles/forms';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { copy } from '../utils/copyas';
import { inWords } from '../utils/errors';
import type { Revealed } from '../utils/reveal';
import { say } from '../utils/toasts';
import { Button } from './Button';

/** What was revealed of a version, and for how much longer; or why it was not. */
export function SecretValueView({ revealed, onHide }: { revealed: Revealed; onHide: () => void }) {
  const now = useNow(1000);
  if (revealed.state === 'reading') return <Text style={text.soft}>Reading…</Text>;
  if (revealed.state === 'refused') {
    const { what, next } = inWords(revealed.error);
    return <Text role="alert" style={text.soft}>{`Not read: ${what}${next ? `. ${next}` : ''}`}</Text>;
  }
  // A machine that slept wakes up later than its timers think.
  if (revealed.state !== 'shown' || now >= revealed.until) return null;
  const { value, until } = revealed;
  const shown = value.text ?? value.binary ?? '';
  const left = Math.min(30, Math.ceil((until - now) / 1000));
  return (
    <View style={layout.stack} role="region" aria-label="Value">
      <View style={forms.code}>
        <Text selectable style={[text.mono, { overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }]} testID="value">
          {shown}
        </Text>
      </View>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <Text style={text.faint}>
          {value.text === undefined ? 'Bytes, in base64. ' : ''}
          {`Hidden in ${left} s.`}
        </Text>
        <View style={layout.row}>
          <Button label="Copy value" icon="copy" onPress={() => void taken(shown)} />
          <Button label="Hide" onPress={onHide} id="hide" />
        </View>
      </View>
    </View>
  );
}

async function taken(value: string): Promise<void> {
  const worked = await copy(value);
  if (worked) say('well', 'Copied: it stays in the clipboard until something else is copied');
  else say('bad', 'The browser did not allow copying; select the text instead');
}
