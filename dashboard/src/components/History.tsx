import { Suspense, useState } from 'react';
import { Pressable, Text, View } from 'react-native';

import { useHistory } from '../hooks/useChanges';
import { useLayout } from '../hooks/useLayout';
import { useNow } from '../hooks/useNow';
import { detail } from '../styles/detail';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { setMeta } from '../utils/actions';
import type { Step } from '../utils/changes';
import { lazily } from '../utils/lazily';
import type { Kind, Resource } from '../utils/resources';
import { ago } from '../utils/time';
import { restored } from '../utils/undo';
import { Button } from './Button';
import { Confirm } from './Confirm';
import { Empty } from './Empty';
import { Choice } from './Field';
import { Panel } from './Panel';

const StepDiff = lazily(() => import('./StepDiff'), 'StepDiff');

const VIEWS = [
  { value: 'step', name: 'What it changed' },
  { value: 'now', name: 'Compare with current' },
  { value: 'whole', name: 'Full manifest' },
] as const;
type View_ = (typeof VIEWS)[number]['value'];

interface Props {
  kind: Kind;
  resource: Resource;
  may: boolean;
}

/** The time machine: every version of the spec, newest first; look at any, compare it, go back to it. */
export function History({ kind, resource, may }: Props) {
  const { name, namespace = '' } = resource.metadata;
  const steps = useHistory(kind, name, namespace);
  const [chosen, setChosen] = useState('');
  const { layout: room } = useLayout();
  const at = Math.max(
    0,
    steps.findIndex((each) => each.id === chosen),
  );
  const step = steps[at];
  if (!step) {
    return (
      <Panel title="History">
        <Empty title="No change in the kept history" next="Changes of its spec appear here." />
      </Panel>
    );
  }
  const wide = room === 'desktop';
  return (
    <View style={wide ? layout.columns : layout.columnsPhone}>
      <View style={wide ? layout.side : null}>
        <Panel title="Versions" note="as far back as the store keeps them" flush>
          <View role="radiogroup" aria-label="Versions">
            {steps.map((each) => (
              <Version key={each.id} step={each} chosen={each === step} onChoose={() => setChosen(each.id)} />
            ))}
          </View>
        </Panel>
      </View>
      <View style={wide ? layout.main : null}>
        <Seen key={step.id} step={step} newest={at === 0} kind={kind} resource={resource} may={may} />
      </View>
    </View>
  );
}

function Version({ step, chosen, onChoose }: { step: Step; chosen: boolean; onChoose: () => void }) {
  const now = useNow(5000);
  return (
    <Pressable
      role="radio"
      aria-checked={chosen}
      onPress={onChoose}
      style={({ hovered }) => [detail.version, hovered && detail.versionHover, chosen && detail.versionChosen]}
    >
      <View style={layout.between}>
        <Text style={text.strong}>{step.verb}</Text>
        <Text style={text.faint}>{ago(step.at, now)}</Text>
      </View>
      {step.what.slice(0, 4).map((each) => (
        <Text key={each} style={[text.small, { overflowWrap: 'anywhere' }]} numberOfLines={2}>
          {each}
        </Text>
      ))}
      <Text style={text.faint}>version {step.revision}</Text>
    </Pressable>
  );
}

function Seen({ step, newest, kind, resource, may }: Props & { step: Step; newest: boolean }) {
  const [view, setView] = useState<View_>('step');
  const [asking, setAsking] = useState(false);
  const { name } = resource.metadata;
  const [before, after] = {
    step: [step.before, step.resource],
    now: [step.resource, resource],
    whole: [step.resource, step.resource],
  }[view];
  const isWhole = view === 'whole' || (view === 'step' && !step.before);
  return (
    <Panel
      title={`Version ${step.revision}`}
      right={
        may && !newest && step.verb !== 'deleted' ? (
          <Button label="Restore this version" look="primary" onPress={() => setAsking(true)} />
        ) : null
      }
    >
      <View style={layout.stackWide}>
        <Choice label="How to look at it" options={VIEWS} chosen={view} onChoose={setView} />
        <Suspense fallback={null}>
          <StepDiff before={before} after={after} whole={isWhole} label="This version" />
        </Suspense>
      </View>
      {asking && (
        <Confirm
          title="Restore version"
          what={`The spec of ${name} becomes what it was at version ${step.revision}.`}
          action="Restore"
          onClose={() => setAsking(false)}
          onYes={() => void goBack(kind, resource, step)}
        />
      )}
    </Panel>
  );
}

/** Makes the spec what it was then. */
export function goBack(kind: Kind, resource: Resource, step: Step): Promise<boolean> {
  const patch = { spec: restored(resource.spec, step.resource.spec) };
  return setMeta(kind, resource, patch, `${resource.metadata.name} is as it was at version ${step.revision}`);
}
