import { useState } from 'react';
import { Text } from 'react-native';

import { text } from '../styles/text';
import type { Resource } from '../utils/resources';
import { replay } from '../utils/webhooks';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Choice } from './Field';

const HOUR = 3_600_000;
const SPANS = [
  { value: '1', name: 'Last hour' },
  { value: '6', name: 'Last 6 hours' },
  { value: '24', name: 'Last day' },
  { value: '72', name: 'Last 3 days' },
] as const;

/** Sends again what failed since some time. */
export function ReplayDialog({
  endpoint,
  onDone,
  onClose,
}: {
  endpoint: Resource;
  onDone: () => void;
  onClose: () => void;
}) {
  const [hours, setHours] = useState<(typeof SPANS)[number]['value']>('1');
  const go = () => {
    const since = new Date(Date.now() - Number(hours) * HOUR).toISOString();
    void replay(endpoint, { since }).then((worked) => {
      onDone();
      if (worked) onClose();
    });
  };
  return (
    <Dialog title={`Send again to ${endpoint.metadata.name}`} onClose={onClose}>
      <Text style={text.body}>Each message that was taken since then and failed is sent again, under its own id.</Text>
      <Choice label="Since" options={SPANS} chosen={hours} onChoose={setHours} />
      <Button label="Send again" look="primary" onPress={go} id="replay-it" />
    </Dialog>
  );
}
