import { KindScreen } from '../components/KindScreen';
import { ServiceOff } from '../components/ServiceOff';
import { SCHEDULES } from '../utils/resources';

/** What is called at its times. */
export function Schedules() {
  return (
    <KindScreen
      kind={SCHEDULES}
      title="Schedules"
      about="Queues, topics, addresses and AWS operations, called at their times. EventBridge Scheduler tools use the same ones."
      next="Make one here, or: aws scheduler create-schedule --name nightly …"
      above={<ServiceOff speaks="scheduler" what="Nothing is called" />}
    />
  );
}
