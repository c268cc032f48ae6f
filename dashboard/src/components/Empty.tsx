import type { ReactNode } from 'react';
import { Text, View } from 'react-native';

import { text } from '../styles/text';
import { inWords } from '../utils/errors';
import { Sign } from './Sign';

/** Nothing is here: says so, and what to do next. */
export function Empty({ title, next, children }: { title: string; next: string; children?: ReactNode }) {
  return (
    <View style={{ alignItems: 'center', gap: 10, paddingVertical: 40, paddingHorizontal: 20 }}>
      <Sign health="idle" size={26} />
      <Text style={text.strong}>{title}</Text>
      <Text style={[text.soft, { textAlign: 'center', maxWidth: 460 }]}>{next}</Text>
      {children}
    </View>
  );
}

/** Something failed: says why, and what to do. */
export function Failed({ error, children }: { error: unknown; children?: ReactNode }) {
  const { what, next } = inWords(error);
  return (
    <View role="alert" style={{ alignItems: 'center', gap: 10, paddingVertical: 40, paddingHorizontal: 20 }}>
      <Sign health="bad" size={26} />
      <Text style={[text.strong, { textAlign: 'center', maxWidth: 620 }]}>{what}</Text>
      <Text style={[text.soft, { textAlign: 'center', maxWidth: 520 }]}>{next}</Text>
      {children}
    </View>
  );
}
