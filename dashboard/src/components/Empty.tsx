import type { ReactNode } from 'react';
import { Text, View } from 'react-native';

import { text } from '../styles/text';
import { layout } from '../styles/layout';
import { inWords } from '../utils/errors';
import { Sign } from './Sign';

/** Nothing is here: says so, and what to do next. */
export function Empty({ title, next, children }: { title: string; next: string; children?: ReactNode }) {
  return (
    <View style={layout.empty}>
      <Sign health="idle" size={26} />
      <Text style={text.strong}>{title}</Text>
      <Text style={[text.soft, text.said]}>{next}</Text>
      {children}
    </View>
  );
}

/** Something failed: says why, and what to do. */
export function Failed({ error, children }: { error: unknown; children?: ReactNode }) {
  const { what, next } = inWords(error);
  return (
    <View role="alert" style={layout.empty}>
      <Sign health="bad" size={26} />
      <Text style={[text.strong, text.said]}>{what}</Text>
      <Text style={[text.soft, text.said]}>{next}</Text>
      {children}
    </View>
  );
}
