import { Text, View } from 'react-native';

import { useConnection } from '../hooks/useConnection';
import { useNow } from '../hooks/useNow';
import { shell } from '../styles/shell';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { secondsSince, span } from '../utils/time';
import { Sign } from './Sign';
import { StatusMark } from './StatusMark';

/** Whether what one sees is true now. */
export function ConnectionMark() {
  const { state } = useConnection();
  if (state === 'live') return <StatusMark health="well" word="Live" />;
  if (state === 'loading') return <StatusMark health="busy" word="Connecting" />;
  return <StatusMark health="warn" word={state === 'offline' ? 'Offline' : 'Reconnecting'} />;
}

/** Tells the age of the data while the cloud is away. */
export function ConnectionBanner() {
  const { state, heardAt } = useConnection();
  const now = useNow(1000);
  if (state === 'live' || state === 'loading') return null;
  const why = state === 'offline' ? 'This device is offline.' : 'The cloud does not answer; trying again.';
  return (
    <View style={shell.banner} role="alert" testID="connection-lost">
      <Sign health="warn" />
      <Text style={[text.body, { color: color.text }]}>
        {why} What you see is {span(secondsSince(heardAt, now))} old.
      </Text>
    </View>
  );
}
