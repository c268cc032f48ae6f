import { Text } from 'react-native';

import { useNow } from '../hooks/useNow';
import { text } from '../styles/text';
import { secondsSince, span } from '../utils/time';

/** How old something is; counts on by itself. */
export function Age({ of, suffix = '' }: { of: string | number | undefined; suffix?: string }) {
  const now = useNow(1000);
  if (!of) return <Text style={text.faint}>–</Text>;
  return <Text style={[text.small, { fontVariant: ['tabular-nums'] }]}>{span(secondsSince(of, now)) + suffix}</Text>;
}
