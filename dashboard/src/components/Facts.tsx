import type { ReactNode } from 'react';
import { Text, View } from 'react-native';

import { detail } from '../styles/detail';
import { text } from '../styles/text';

/** Short facts beside each other. */
export function Facts({ children }: { children: ReactNode }) {
  return <View style={detail.facts}>{children}</View>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <View style={detail.fact}>
      <Text style={text.label}>{name}</Text>
      {typeof children === 'string' || typeof children === 'number' ? (
        <Text selectable style={[text.body, { overflowWrap: 'anywhere' }]}>
          {children}
        </Text>
      ) : (
        children
      )}
    </View>
  );
}
