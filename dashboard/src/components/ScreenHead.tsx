import type { ReactNode } from 'react';
import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';

interface Props {
  title: string;
  /** The title is the name of something: shown as it is written. */
  named?: boolean;
  about?: ReactNode;
  children?: ReactNode;
}

/** The title of a screen, what it is about in one sentence, and what can be done. */
export function ScreenHead({ title, named = false, about, children }: Props) {
  return (
    <View style={[layout.between, { flexWrap: 'wrap', rowGap: 14 }]}>
      <View style={[layout.shrink, { gap: 5 }]}>
        <Text role="heading" aria-level={1} style={[named ? text.named : text.title, { overflowWrap: 'anywhere' }]}>
          {title}
        </Text>
        {typeof about === 'string' ? <Text style={text.soft}>{about}</Text> : about}
      </View>
      <View style={[layout.wrap, layout.fit]}>{children}</View>
    </View>
  );
}
