import type { ReactNode } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';

/** The title of a screen, what it is about in one sentence, and what can be done. */
export function ScreenHead({ title, about, children }: { title: string; about?: ReactNode; children?: ReactNode }) {
  return (
    <View style={[layout.between, { flexWrap: 'wrap', rowGap: 14 }]}>
      <View style={[layout.shrink, { gap: 5 }]}>
        <Text role="heading" aria-level={1} style={[text.title, { overflowWrap: 'anywhere' }]}>
          {title}
        </Text>
        {typeof about === 'string' ? <Text style={text.soft}>{about}</Text> : about}
      </View>
      <View style={[layout.wrap, layout.fit]}>{children}</View>
    </View>
  );
}
