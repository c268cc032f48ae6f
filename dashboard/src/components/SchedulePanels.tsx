import { Text, View } from 'react-native';

import { useAsked } from '../hooks/useAsked';
import { useMay } from '../hooks/useMay';
import { useNow } from '../hooks/useNow';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { setSpec } from '../utils/actions';
import { askFirst } from '../utils/questions';
import { SCHEDULES, type Resource } from '../utils/resources';
import { firingTold, inSpan, readFirings, readUpcoming, runNow, timeIn, type Firing } from '../utils/schedules';
import { momentTold } from '../utils/time';
import { Button } from './Button';
import { Failed } from './Empty';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { ServiceOff } from './ServiceOff';
import { StatusMark } from './StatusMark';

const LOOK_MS = 15_000;
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** A schedule: what it calls, when it is due next, and how its calls went. */
export function SchedulePanels({ resource: schedule }: { resource: Resource }) {
  const firings = useAsked(schedule.metadata.uid ?? '', (signal) => readFirings(schedule, signal), LOOK_MS);
  return (
    <>
      <ServiceOff speaks="scheduler" what="Nothing is called" />
      <State schedule={schedule} onRun={firings.again} />
      <Next schedule={schedule} />
      <Panel title="Calls" note="those still tried, and how the last twenty ended">
        {firings.error ? <Failed error={firings.error} /> : null}
        {!firings.value && !firings.error && <Text style={text.soft}>Reading…</Text>}
        {firings.value && <Calls calls={[...firings.value.underWay, ...firings.value.ended]} />}
      </Panel>
    </>
  );
}

function State({ schedule, onRun }: { schedule: Resource; onRun: () => void }) {
  const { name, namespace } = schedule.metadata;
  const spec = schedule.spec ?? {};
  const target = spec.target ?? {};
  const enabled = (spec.enabled ?? true) as boolean;
  const may = useMay(SCHEDULES, 'patch', namespace);
  const set = (on: boolean) =>
    void setSpec(SCHEDULES, schedule, { enabled: on }, on ? `${name} goes on` : `${name} rests`);
  const run = () =>
    askFirst({
      title: `Call ${name} now?`,
      what: `${target.arn} is called at once, beside its times${target.roleArn ? `, under ${target.roleArn}` : ''}.`,
      action: 'Call it now',
      onYes: () => void runNow(schedule).then(onRun),
    });
  const buttons = (
    <View style={layout.wrap}>
      <Button label="Run now" look="golden" onPress={run} id="run" />
      <Button label={enabled ? 'Pause' : 'Resume'} onPress={() => set(!enabled)} id="pause" />
    </View>
  );
  return (
    <Panel title="State" right={may ? buttons : undefined}>
      <Facts>
        <Fact name="Now">
          <StatusMark health={enabled ? 'well' : 'idle'} word={enabled ? 'On' : 'Paused'} />
        </Fact>
        <Fact name="When">{`${spec.expression} ${spec.timezone && spec.timezone !== 'UTC' ? spec.timezone : 'UTC'}`}</Fact>
        {spec.flexibleWindowMinutes ? <Fact name="Within">{`${spec.flexibleWindowMinutes} min of that`}</Fact> : null}
        <Fact name="Calls">{target.arn as string}</Fact>
        {target.roleArn ? <Fact name="As">{target.roleArn as string}</Fact> : null}
        <Fact name="Missed times">{(spec.missedRuns ?? 'Latest') as string}</Fact>
        <Fact name="While one is tried">{(spec.concurrency ?? 'Allow') as string}</Fact>
        {target.deadLetterArn ? <Fact name="Dead letters to">{target.deadLetterArn as string}</Fact> : null}
      </Facts>
    </Panel>
  );
}

/** Asked anew when its spec changes, and when the first of them has passed. */
function Next({ schedule }: { schedule: Resource }) {
  const now = useNow(1000);
  const { uid, generation } = schedule.metadata;
  const told = useAsked(`${uid} ${generation}`, (signal) => readUpcoming(schedule, signal), 60_000);
  const zone = (schedule.spec?.timezone ?? 'UTC') as string;
  const times = (told.value ?? []).filter((each) => Date.parse(each.at) > now);
  const enabled = schedule.spec?.enabled ?? true;
  return (
    <Panel title="Next times" note={`yours: ${HERE}`}>
      {told.error ? <Failed error={told.error} /> : null}
      {!told.value && !told.error && <Text style={text.soft}>Reading…</Text>}
      {told.value && times.length === 0 && (
        <Text style={text.soft}>{enabled ? 'Never again: its times are over.' : 'None while it is paused.'}</Text>
      )}
      <View role="list" aria-label="Next times">
        {times.map(({ due, at }, index) => (
          <View
            key={due}
            role="listitem"
            style={[home.feedRow, index === 0 && home.itemFirst, { flexWrap: 'wrap', rowGap: 2 }]}
          >
            <Text style={[text.strong, { minWidth: 160 }]}>{timeIn(at)}</Text>
            <Text style={[text.small, layout.grow, { minWidth: 180 }]}>
              {zone === HERE ? '' : `${timeIn(due, zone)} ${zone}`}
              {at === due ? '' : ' · moved within its window'}
            </Text>
            <Text style={text.small}>{inSpan(at, now)}</Text>
          </View>
        ))}
      </View>
    </Panel>
  );
}

function Calls({ calls }: { calls: readonly Firing[] }) {
  const now = useNow(1000);
  if (calls.length === 0) return <Text style={text.soft}>It was not called yet.</Text>;
  return (
    <View role="list" aria-label="Calls">
      {calls.map((each, index) => {
        const { health, word, about } = firingTold(each);
        return (
          <View
            key={each.id}
            role="listitem"
            style={[home.feedRow, index === 0 && home.itemFirst, { flexDirection: 'column', gap: 3 }]}
          >
            <View style={[layout.between, layout.whole, { flexWrap: 'wrap', rowGap: 2 }]}>
              <View style={layout.wrap}>
                <StatusMark health={health} word={word} />
                <Text style={text.body}>{`due ${momentTold(each.due, now)}`}</Text>
              </View>
              <Text style={text.small}>
                {each.endedAt ? `over ${momentTold(each.endedAt, now)}` : ''}
                {each.nextAttempt ? `next ${momentTold(each.nextAttempt, now)}` : ''}
              </Text>
            </View>
            {about ? (
              <Text selectable style={[text.small, { overflowWrap: 'anywhere' }]}>
                {about}
              </Text>
            ) : null}
          </View>
        );
      })}
    </View>
  );
}
