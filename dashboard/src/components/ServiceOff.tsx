import { Text, View } from 'react-native';

import { useObservable } from '../hooks/useObservable';
import { useResources } from '../hooks/useResources';
import { useMay } from '../hooks/useMay';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { enableManaged } from '../utils/actions';
import { catalog } from '../utils/catalog';
import { serviceHealth } from '../utils/health';
import { conditionOf, SERVICES, type Service } from '../utils/resources';
import { Button } from './Button';
import { Panel } from './Panel';
import { Sign } from './Sign';

/** Says that the service behind a screen does not run, and offers to start it. Nothing when it does. */
export function ServiceOff({ managed, what }: { managed: string; what: string }) {
  const { items, state } = useResources<Service>(SERVICES);
  const may = useMay(SERVICES);
  const offered = useObservable(catalog).some((each) => each.managed === managed);
  const service = items.find((each) => each.spec.managed === managed);
  const health = service ? serviceHealth(service) : 'idle';
  if (state !== 'live' || health === 'well') return null;
  const name = managed.replace(/_/g, '-');
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
        {off && may && offered && (
          <Button label={`Enable ${name}`} look="primary" onPress={() => void enableManaged(managed, service)} />
        )}
      </View>
    </Panel>
  );
}
