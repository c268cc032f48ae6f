import { Text, View } from 'react-native';

import { access } from '../styles/access';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { statementsOf } from '../utils/access';
import { StatusMark } from './StatusMark';

/** A policy as it is written, statement by statement; the one that decided stands out, by word as well as by gold. */
export function PolicyDocument({ document, deciding }: { document: string; deciding?: number }) {
  const statements = statementsOf(document);
  if (!statements) {
    return (
      <Text selectable style={access.written}>
        {document || 'There is no such policy: it allows nothing.'}
      </Text>
    );
  }
  return (
    <View role="list" aria-label="Statements" style={[access.document, access.short]}>
      {statements.map(({ index, effect, sid, text: written }) => {
        const decides = index === deciding;
        return (
          <View
            key={index}
            role="listitem"
            testID={decides ? 'deciding' : undefined}
            style={[access.statement, index === 0 && access.first, decides && access.deciding]}
          >
            <View style={layout.wrap}>
              <StatusMark health={effect === 'Deny' ? 'bad' : 'well'} word={effect} />
              <Text style={text.small}>{sid || `statement ${index}`}</Text>
              {decides && <Text style={[text.label, { marginLeft: 'auto' }]}>Decided</Text>}
            </View>
            <Text selectable style={[access.written, decides && access.writtenDeciding]}>
              {written}
            </Text>
          </View>
        );
      })}
    </View>
  );
}
