import { Text, View } from 'react-native';

import { detail } from '../styles/detail';
import { forms } from '../styles/forms';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import type { Line } from '../utils/diff';
import { Sign } from './Sign';

interface Props {
  lines: readonly Line[];
  /** What is said when nothing differs. */
  none: string;
  label?: string;
}

/** What differs, line by line. */
export function Diff({ lines, none, label = 'What would change' }: Props) {
  if (lines.length === 0) {
    return (
      <View style={layout.row} testID="yaml-diff">
        <Sign health="well" />
        <Text style={text.body}>{none}</Text>
      </View>
    );
  }
  return (
    <View style={[forms.code, { paddingHorizontal: 0 }]} testID="yaml-diff" role="region" aria-label={label}>
      {lines.map((line, index) => (
        <View
          key={index}
          style={[detail.diffLine, line.sign === '+' && detail.diffPlus, line.sign === '-' && detail.diffMinus]}
        >
          <Text style={[detail.diffText, line.sign !== ' ' && { color: line.sign === '+' ? color.well : color.bad }]}>
            {line.sign} {line.text}
          </Text>
        </View>
      ))}
    </View>
  );
}
