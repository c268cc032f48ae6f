import { useEffect, useRef } from 'react';
import { Text, View } from 'react-native';

import { useConnection } from '../hooks/useConnection';
import { useNow } from '../hooks/useNow';
import { useObservable } from '../hooks/useObservable';
import { shell } from '../styles/shell';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { lookForNewer, newerBuild } from '../utils/newer';
import { secondsSince, span } from '../utils/time';
import { Button } from './Button';
import { Sign } from './Sign';
import { StatusMark } from './StatusMark';

/** Whether what one sees is true now. */
export function ConnectionMark() {
  const { state } = useConnection();
  if (state === 'live') return <StatusMark health="well" word="Live" />;
  if (state === 'loading') return <StatusMark health="busy" word="Connecting" />;
  return <StatusMark health="warn" word={state === 'offline' ? 'Offline' : 'Reconnecting'} />;
}

/** Tells the age of the data while the cloud is away, and of a newer dashboard once it is back. */
export function ConnectionBanner() {
  const { state, heardAt } = useConnection();
  const newer = useObservable(newerBuild);
  const wasLost = useRef(false);
  const now = useNow(1000);
  const lost = state !== 'live' && state !== 'loading';
  useEffect(() => {
    // An update restarts the cloud: after an outage there may be another dashboard.
    if (wasLost.current && !lost) void lookForNewer().catch(() => undefined);
    wasLost.current = lost;
  }, [lost]);
  if (!lost) return newer ? <Newer /> : null;
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

function Newer() {
  return (
    <View style={[shell.banner, shell.bannerCalm]} role="status" testID="newer">
      <Text style={text.body}>A newer dashboard is there.</Text>
      <Button label="Load it" look="golden" onPress={() => window.location.reload()} />
    </View>
  );
}
