import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import type { Field } from '../utils/discovery';

/** What a kind's schema says of its fields. */
export function FieldList({ fields }: { fields: readonly Field[] }) {
  return (
    <View style={layout.stack}>
      {fields.map((field) => (
        <View key={field.path} style={layout.tight}>
          <Text style={[text.mono, { overflowWrap: 'anywhere' }]}>
            {field.path}{' '}
            <Text style={text.quiet}>
              {field.type}
              {field.required ? ', required' : ''}
            </Text>
          </Text>
          {field.description ? <Text style={text.faint}>{field.description}</Text> : null}
        </View>
      ))}
    </View>
  );
}
