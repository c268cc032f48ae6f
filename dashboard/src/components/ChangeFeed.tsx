import { Suspense, useState } from 'react';
import { Text, View } from 'react-native';

import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import type { Step } from '../utils/changes';
import { lazily } from '../utils/lazily';
import { pageOf } from '../utils/routes';
import { ago } from '../utils/time';
import { isUndoable, undo } from '../utils/undo';
import { Button } from './Button';
import { Dialog } from './Dialog';
import { Empty } from './Empty';
import { TextLink } from './TextLink';

const StepDiff = lazily(() => import('./StepDiff'), 'StepDiff');

/** What people and services wished differently, newest first, from the store's own history. */
export function ChangeFeed({ steps, most }: { steps: readonly Step[]; most: number }) {
  const [seen, setSeen] = useState<Step | null>(null);
  if (steps.length === 0)
    return <Empty title="No change in the kept history" next="What is created, changed or deleted appears here." />;
  return (
    <View>
      <View role="list" aria-label="Recent changes">
        {steps.slice(0, most).map((step, index) => (
          <Row key={step.id} step={step} first={index === 0} onLook={() => setSeen(step)} />
        ))}
      </View>
      {seen && <Look step={seen} onClose={() => setSeen(null)} />}
    </View>
  );
}

function Row({ step, first, onLook }: { step: Step; first: boolean; onLook: () => void }) {
  const now = useNow(5000);
  return (
    <View role="listitem" style={[home.feedRow, first && home.itemFirst, { alignItems: 'center' }]}>
      <View style={layout.grow}>
        <View style={[layout.row, { flexWrap: 'wrap', rowGap: 0 }]}>
          <Text style={text.faint}>{step.kind.kind}</Text>
          {step.verb === 'deleted' ? (
            <Text style={text.small}>{step.name}</Text>
          ) : (
            <TextLink to={pageOf(step.kind, step.resource)} strong={false}>
              {step.name}
            </TextLink>
          )}
          <Text style={text.faint}>
            {step.verb} · {ago(step.at, now)}
          </Text>
        </View>
        {step.what.slice(0, 3).map((each) => (
          <Text key={each} style={text.small} numberOfLines={2}>
            {each}
          </Text>
        ))}
      </View>
      <Button label={`Look at this change of ${step.name}`} icon="diff" small look="bare" onPress={onLook} />
    </View>
  );
}

/** One change, line by line, and the way back. */
function Look({ step, onClose }: { step: Step; onClose: () => void }) {
  const may = useMay(step.kind, step.verb === 'created' ? 'delete' : 'patch', step.namespace);
  const now = useNow(5000);
  const [busy, setBusy] = useState(false);
  const back = async () => {
    setBusy(true);
    const worked = await undo(step);
    setBusy(false);
    if (worked) onClose();
  };
  const gone = step.verb === 'deleted';
  return (
    <Dialog title={`${step.name} ${step.verb}`} shape="wide" onClose={onClose}>
      <Text style={text.soft}>
        {step.kind.kind} · version {step.revision} · {ago(step.at, now)}
      </Text>
      <Suspense fallback={null}>
        <StepDiff
          before={gone ? step.resource : step.before}
          after={gone ? undefined : step.resource}
          label="What changed"
          whole={step.verb !== 'changed'}
        />
      </Suspense>
      <View style={[layout.row, { justifyContent: 'flex-end' }]}>
        <Button label="Close" onPress={onClose} />
        {may && isUndoable(step) && (
          <Button label={undoWords(step)} look="primary" disabled={busy} onPress={() => void back()} id="undo" />
        )}
      </View>
    </Dialog>
  );
}

function undoWords(step: Step): string {
  return { changed: 'Undo this change', created: 'Delete it again', deleted: 'Make it again' }[step.verb];
}
