import { Text, View } from 'react-native';

import { status as styles } from '../styles/status';
import { color } from '../styles/tokens';
import type { Health } from '../utils/health';
import { Sign } from './Sign';

/** A sign and a word, always both. */
export function StatusMark({ health, word }: { health: Health; word: string }) {
  return (
    <View style={styles.mark}>
      <Sign health={health} />
      <Text style={[styles.word, { color: color[health] }]} numberOfLines={1}>
        {word}
      </Text>
    </View>
  );
}
