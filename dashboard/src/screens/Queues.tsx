import { useState } from 'react';
import { Text } from 'react-native';

import type { Column } from '../components/DataTable';
import { KindScreen } from '../components/KindScreen';
import { NameDialog } from '../components/NameDialog';
import { ServiceOff } from '../components/ServiceOff';
import { text } from '../styles/text';
import { labelOf } from '../utils/queues';
import { QUEUES, type Resource } from '../utils/resources';

/** A queue of another region than the first has a name of its own as a resource. */
const LABEL: Column<Resource> = {
  name: 'In AWS',
  width: 1,
  phone: 'none',
  by: labelOf,
  cell: (each) => <Text style={text.small}>{labelOf(each)}</Text>,
};
const EXTRA = [LABEL];

/** Queues of messages. */
export function Queues() {
  const [making, setMaking] = useState(false);
  return (
    <>
      <KindScreen
        kind={QUEUES}
        title="Queues"
        about="Messages that wait for somebody. AWS SQS tools use the same ones. Numbers are some seconds old."
        next="Make one here, or: aws sqs create-queue --queue-name orders"
        onNew={() => setMaking(true)}
        extra={EXTRA}
        above={<ServiceOff speaks="sqs" what="Messages cannot be sent or received" />}
      />
      {making && (
        <NameDialog
          kind={QUEUES}
          title="New queue"
          about="SQS tools will know it by this name. One that ends in .fifo keeps the order of each group."
          specOf={(name) => (name.endsWith('.fifo') ? { fifo: {} } : {})}
          more={{
            label: 'Dead letters to (ARN)',
            hint: 'Where a message goes that was received five times and not deleted. Leave empty for none.',
            spec: (arn) => (arn ? { redrive: { deadLetterTargetArn: arn, maxReceiveCount: 5 } } : {}),
          }}
          onClose={() => setMaking(false)}
        />
      )}
    </>
  );
}
