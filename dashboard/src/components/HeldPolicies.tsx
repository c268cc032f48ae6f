import { Text, View } from 'react-native';

import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { accessPage } from '../utils/access';
import type { Held } from '../utils/identities';
import { PolicyDocument } from './PolicyDocument';
import { TextLink } from './TextLink';

/** Policies with their documents, and through which group one has them. */
export function HeldPolicies({ held, none }: { held: readonly Held[]; none: string }) {
  if (held.length === 0) return <Text style={text.soft}>{none}</Text>;
  return (
    <View style={layout.stackWide}>
      {held.map((each) => (
        <View key={`${each.of}/${each.name}`} style={layout.stack}>
          <View style={layout.wrap}>
            <Text selectable style={[text.namedLabel, { overflowWrap: 'anywhere' }]}>
              {each.name}
            </Text>
            <Text style={text.faint}>{each.of ? `through the group ${each.of}` : ''}</Text>
          </View>
          {each.document ? (
            <PolicyDocument document={each.document} />
          ) : (
            <Text style={text.faint}>
              {each.name.startsWith('arn:aws:iam::aws:')
                ? 'One of the cloud’s own.'
                : 'It is not there: it allows nothing.'}
            </Text>
          )}
        </View>
      ))}
      <TextLink to={accessPage({})} strong={false}>
        What do they come to?
      </TextLink>
    </View>
  );
}
