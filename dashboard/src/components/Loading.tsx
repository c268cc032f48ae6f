import { Text, View } from 'react-native';

import { login } from '../styles/login';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { Mark } from './Mark';
import { layout } from '../styles/layout';

/** The quiet moment while data arrives. */
export function Loading({ what }: { what: string }) {
  return (
    <View style={login.loading} role="status" aria-live="polite">
      <Mark size={76} moving />
      <View style={layout.middle}>
        <Text style={[text.label, { color: color.gold, letterSpacing: 5 }]}>Loading memory</Text>
        <Text style={text.faint}>{what}</Text>
      </View>
    </View>
  );
}
