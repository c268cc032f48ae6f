import { useState } from 'react';
import { Text, View } from 'react-native';

import { useLayout } from '../hooks/useLayout';
import { useMay } from '../hooks/useMay';
import { useResources } from '../hooks/useResources';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { firstSteps, type FirstStep } from '../utils/firstSteps';
import { BUCKETS, KEYS, USERS, type Service, type Worker } from '../utils/resources';
import { go } from '../utils/routes';
import { goAndOpen } from '../utils/wishes';
import { Button } from './Button';
import { Panel } from './Panel';
import { Sign } from './Sign';

const HIDDEN = 'aerekos-first-steps-hidden';

/** What to do next, for whoever may do all of it; gone when it is done, or not wanted. */
export function FirstSteps({ services, workers }: { services: readonly Service[]; workers: readonly Worker[] }) {
  const may = useMay(USERS, 'create');
  const buckets = useResources(BUCKETS);
  const keys = useResources(KEYS);
  const users = useResources(USERS);
  const { phone } = useLayout();
  const [hidden, setHidden] = useState(() => localStorage.getItem(HIDDEN) !== null);
  const known = [buckets, keys, users].every((each) => each.state === 'live' || each.state === 'reconnecting');
  if (!may || hidden || !known) return null;
  const steps = firstSteps({
    buckets: buckets.items,
    keys: keys.items,
    users: users.items,
    services,
    workers,
  });
  const left = steps.filter((each) => !each.done).length;
  if (left === 0) return null;
  const hide = () => {
    localStorage.setItem(HIDDEN, '1');
    setHidden(true);
  };
  return (
    <Panel
      title="First steps"
      note={`${steps.length - left} of ${steps.length} done`}
      right={<Button label="Hide" look="bare" onPress={hide} />}
    >
      <View role="list" aria-label="First steps">
        {steps.map((step, index) => (
          <Step key={step.id} step={step} first={index === 0} phone={phone} />
        ))}
      </View>
    </Panel>
  );
}

function Step({ step, first, phone }: { step: FirstStep; first: boolean; phone: boolean }) {
  const start = () => (step.wish ? goAndOpen(step.to, step.wish) : go(step.to));
  return (
    <View role="listitem" style={[home.item, first && home.itemFirst, phone && home.itemPhone]}>
      <View style={[layout.row, { gap: 14, flex: phone ? undefined : 1, minWidth: 0 }]}>
        <Sign health={step.done ? 'well' : 'idle'} size={16} />
        <View style={layout.grow}>
          <Text style={step.done ? text.soft : text.strong}>{step.what}</Text>
          <Text style={text.small}>{step.done ? 'Done.' : step.why}</Text>
        </View>
      </View>
      {!step.done && (
        <View style={phone ? home.fixPhone : home.fix}>
          <Button label={step.action} onPress={start} id={`step-${step.id}`} />
        </View>
      )}
    </View>
  );
}
