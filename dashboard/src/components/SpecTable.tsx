import { Text, View } from 'react-native';

import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { plainText } from '../utils/plainText';

/** Any object as names and values, nested ones as dotted names. */
export function SpecTable({ value, none }: { value: unknown; none: string }) {
  const rows = flat(value);
  if (rows.length === 0) return none ? <Text style={text.soft}>{none}</Text> : null;
  return (
    <View role="list" style={layout.whole}>
      {rows.map(([name, told], index) => (
        <View key={name} role="listitem" style={[home.feedRow, index === 0 && home.itemFirst]}>
          <Text style={[text.faint, { width: '38%', overflowWrap: 'anywhere' }]}>{name}</Text>
          <Text selectable style={[text.small, layout.grow, { overflowWrap: 'anywhere' }]}>
            {told}
          </Text>
        </View>
      ))}
    </View>
  );
}

/** Empty lists, objects and texts say nothing and are left out. */
export function flat(value: unknown, path = ''): [string, string][] {
  if (value === null || value === undefined || value === '') return [];
  if (Array.isArray(value)) {
    const plain = value.every((each) => typeof each !== 'object');
    if (plain) return value.length ? [[path, value.join(', ')]] : [];
    return value.flatMap((each, index) => flat(each, `${path}[${index}]`));
  }
  if (typeof value === 'object') {
    return Object.entries(value).flatMap(([name, each]) => flat(each, path ? `${path}.${name}` : name));
  }
  return [[path, plainText(value)]];
}
