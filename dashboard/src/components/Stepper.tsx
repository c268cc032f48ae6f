import { Text, View } from 'react-native';

import { detail } from '../styles/detail';
import { text } from '../styles/text';
import { scaleTo } from '../utils/careful';
import type { Service } from '../utils/resources';
import { Button } from './Button';

/** How many instances are wanted, one more or less at a press. */
export function Stepper({ service }: { service: Service }) {
  const wanted = service.spec.replicas ?? 1;
  const name = service.metadata.name;
  return (
    <View style={detail.stepper} role="group" aria-label={`Instances of ${name}`}>
      <Button
        label={`One instance of ${name} fewer`}
        icon="minus"
        small
        look="bare"
        disabled={wanted === 0}
        onPress={() => scaleTo(service, wanted - 1)}
      />
      <Text style={[text.number, { minWidth: 22, textAlign: 'center' }]}>{wanted}</Text>
      <Button
        label={`One instance of ${name} more`}
        icon="plus"
        small
        look="bare"
        onPress={() => scaleTo(service, wanted + 1)}
      />
    </View>
  );
}
