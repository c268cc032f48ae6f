import { useState } from 'react';

import { KindScreen } from '../components/KindScreen';
import { NameDialog } from '../components/NameDialog';
import { ServiceOff } from '../components/ServiceOff';
import { TOPICS } from '../utils/resources';

/** What is published once, for many. */
export function Topics() {
  const [making, setMaking] = useState(false);
  return (
    <>
      <KindScreen
        kind={TOPICS}
        title="Topics"
        about="Published once, delivered to every queue and address that subscribed. AWS SNS tools use the same ones."
        next="Make one here, or: aws sns create-topic --name news"
        onNew={() => setMaking(true)}
        above={<ServiceOff speaks="sns" what="Nothing can be published" />}
      />
      {making && (
        <NameDialog
          kind={TOPICS}
          title="New topic"
          about="SNS tools will know it by this name. One that ends in .fifo delivers to FIFO queues, in order."
          specOf={(name) => (name.endsWith('.fifo') ? { fifo: {} } : {})}
          onClose={() => setMaking(false)}
        />
      )}
    </>
  );
}
