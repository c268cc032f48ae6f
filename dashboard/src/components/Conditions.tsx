import { Text, View } from 'react-native';

import { detail } from '../styles/detail';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { sentence, type Health } from '../utils/health';
import type { Condition } from '../utils/resources';
import { Age } from './Age';
import { Sign } from './Sign';

/** Types whose being true is nothing good. */
const BAD_WHEN_TRUE = new Set([
  'Degraded',
  'Failed',
  'FieldsIgnored',
  'NamespaceContentRemaining',
  'NamespaceDeletionContentFailure',
  'NamespaceFinalizersRemaining',
]);
/** Neither good nor bad: something goes on while they are true. */
const NEUTRAL = new Set(['Drained', 'Progressing', 'Terminating']);

function healthOf(condition: Condition): Health {
  if (condition.status === 'Unknown') return 'unknown';
  const yes = condition.status === 'True';
  if (NEUTRAL.has(condition.type)) return yes ? 'busy' : 'idle';
  return yes !== BAD_WHEN_TRUE.has(condition.type) ? 'well' : 'warn';
}

/** That its controller has no trouble with it is what everybody expects: said only when it is not so. */
export function isWorthTelling({ type, status }: Condition): boolean {
  return !(type === 'Reconciled' && status === 'True');
}

/** Conditions in words. */
export function Conditions({ conditions }: { conditions: readonly Condition[] }) {
  return (
    <View role="list">
      {conditions.map((condition, index) => (
        <View key={condition.type} role="listitem" style={[detail.condition, index === 0 && home.itemFirst]}>
          <View style={layout.besideText}>
            <Sign health={healthOf(condition)} />
          </View>
          <View style={layout.grow}>
            <Text style={text.body}>{sentence(condition.type, condition.status, condition.message)}</Text>
            <Text style={text.faint}>
              {condition.type}
              {condition.reason ? ` · ${condition.reason}` : ''}
            </Text>
          </View>
          <Age of={condition.lastTransitionTime} />
        </View>
      ))}
    </View>
  );
}
