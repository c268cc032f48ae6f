import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useSpeaking } from '../hooks/useSpeaking';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { enableManaged } from '../utils/actions';
import { isAsleep } from '../utils/health';
import { conditionOf, SERVICES } from '../utils/resources';
import { Button } from './Button';
import { Panel } from './Panel';
import { Sign } from './Sign';

/** Says that the service that speaks for a screen (`kms`) does not run, and offers to start it. Nothing when it does. */
export function ServiceOff({ speaks, what }: { speaks: string; what: string }) {
  const { offered, service, health, live } = useSpeaking(speaks);
  const may = useMay(SERVICES);
  if (!live || health === 'well' || !offered || (service && isAsleep(service))) return null;
  const name = offered.service;
  const off = health === 'idle';
  const why = off
    ? `${name} is not enabled.`
    : (service && conditionOf(service, 'Ready')?.message) || `${name} is not ready.`;
  return (
    <Panel>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <View style={[layout.row, layout.shrink]}>
          <Sign health={off ? 'idle' : health} size={18} />
          <Text style={text.body}>
            {what}: {why}
          </Text>
        </View>
        {off && may && (
          <Button
            label={`Enable ${name}`}
            look="primary"
            onPress={() => void enableManaged(offered.managed, service)}
          />
        )}
      </View>
    </Panel>
  );
}
