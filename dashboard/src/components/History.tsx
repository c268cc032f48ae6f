import { useState } from 'react';
import { Text, View } from 'react-native';

import { useHistory } from '../hooks/useChanges';
import { useNow } from '../hooks/useNow';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { setSpec } from '../utils/actions';
import type { Step } from '../utils/changes';
import type { Kind, Resource } from '../utils/resources';
import { ago } from '../utils/time';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { Empty } from './Empty';
import { Panel } from './Panel';

/** Every version of what was wanted, newest first, and the way back to each. */
export function History({ kind, resource, may }: { kind: Kind; resource: Resource; may: boolean }) {
  const { name, namespace = '' } = resource.metadata;
  const steps = useHistory(kind, name, namespace);
  const [back, setBack] = useState<Step | null>(null);
  const now = useNow(5000);
  return (
    <Panel title="History" note="as far back as the store keeps it">
      {steps.length === 0 && (
        <Empty title="No change in the kept history" next="Changes of what is wanted appear here." />
      )}
      {steps.map((step, index) => (
        <View key={step.id} style={[home.item, index === 0 && home.itemFirst, { alignItems: 'flex-start' }]}>
          <View style={layout.grow}>
            <Text style={text.strong}>
              {step.verb}{' '}
              <Text style={text.faint}>
                {ago(step.at, now)} · version {step.revision}
              </Text>
            </Text>
            {step.what.map((each) => (
              <Text key={each} style={[text.mono, { overflowWrap: 'anywhere' }]}>
                {each}
              </Text>
            ))}
          </View>
          {may && index > 0 && step.verb !== 'deleted' && <Button label="Back to this" onPress={() => setBack(step)} />}
        </View>
      ))}
      {back && (
        <Confirm
          title="Back to an older version"
          what={`What is wanted of ${name} becomes what it was at version ${back.revision}.`}
          action="Go back"
          onClose={() => setBack(null)}
          onYes={() =>
            void setSpec(kind, resource, restored(resource.spec, back.resource.spec), `${name} is as it was`)
          }
        />
      )}
    </Panel>
  );
}

/** A merge patch that makes `now` into `then`: what came since is taken away. */
export function restored(now: any, then: any): any {
  const plain = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  const patch: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(now ?? {}), ...Object.keys(then ?? {})])) {
    const [a, b] = [now?.[name], then?.[name]];
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    patch[name] = b === undefined ? null : plain(a) && plain(b) ? restored(a, b) : b;
  }
  return patch;
}
