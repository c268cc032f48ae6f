import { useEffect, useState } from 'react';
import { Text, View } from 'react-native';

import { Button } from '../components/Button';
import { Failed } from '../components/Empty';
import { Choice, Field } from '../components/Field';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { ServiceOff } from '../components/ServiceOff';
import { TextLink } from '../components/TextLink';
import { TimeGraph } from '../components/TimeGraph';
import { useAsked } from '../hooks/useAsked';
import { useHistory } from '../hooks/useChanges';
import { useNow } from '../hooks/useNow';
import { useQuery, useQueryChoice } from '../hooks/useQuery';
import { useResources } from '../hooks/useResources';
import { useSpeaking } from '../hooks/useSpeaking';
import { graph } from '../styles/graph';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import type { Step } from '../utils/changes';
import { goldenSignals, RANGES, readLines, stepOf, type Graph, type Mark, type RangeName } from '../utils/metrics';
import { SERVICES, type Service } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { momentTold } from '../utils/time';

const LOOK_MS = 15_000;
const NAMES = RANGES.map((each) => each.value);

/** Numbers over time: of each service what is asked first, and whatever else one asks for. */
export function Metrics() {
  const [range, setRange] = useQueryChoice<RangeName>('range', NAMES);
  const { items } = useResources<Service>(SERVICES);
  const { health } = useSpeaking('monitoring');
  return (
    <>
      <ScreenHead title="Metrics" about="Numbers of the platform and of what runs here, for fifteen days.">
        <Choice label="How long back" options={RANGES} chosen={range} onChoose={setRange} />
      </ScreenHead>
      <ServiceOff speaks="monitoring" what="Nothing is measured" />
      {health === 'well' && (
        <>
          <Golden services={items} seconds={secondsOf(range)} />
          <Asking seconds={secondsOf(range)} />
        </>
      )}
    </>
  );
}

function secondsOf(range: RangeName): number {
  return RANGES.find((each) => each.value === range)!.seconds;
}

/** One service: requests, errors, latency, CPU, memory, and what was changed of it meanwhile. */
function Golden({ services, seconds }: { services: readonly Service[]; seconds: number }) {
  const names = services.map(nameOf).sort();
  const [asked, setAsked] = useQuery('service');
  const chosen = services.find((each) => nameOf(each) === (names.includes(asked) ? asked : names[0]));
  if (!chosen) return null;
  return (
    <Panel
      title="Of a service"
      right={<TextLink to={pageOf(SERVICES, chosen)}>{`Look at ${chosen.metadata.name}`}</TextLink>}
    >
      <View style={layout.stackWide}>
        <Choice
          label="Which service"
          options={names.map((name) => ({ value: name, name: name.replace(/^default\//, '') }))}
          chosen={nameOf(chosen)}
          onChoose={setAsked}
        />
        <Signals key={nameOf(chosen)} service={chosen} seconds={seconds} />
      </View>
    </Panel>
  );
}

function nameOf({ metadata: { namespace = 'default', name } }: Service): string {
  return `${namespace}/${name}`;
}

function Signals({ service, seconds }: { service: Service; seconds: number }) {
  const { name, namespace = 'default' } = service.metadata;
  const now = useNow(LOOK_MS);
  const marks = useHistory(SERVICES, name, namespace).map(markOf);
  const lately = marks.filter(({ at }) => at > now - seconds * 1000);
  return (
    <View style={layout.stackWide}>
      {lately.length > 0 && <Changes marks={lately} />}
      <View style={graph.grid}>
        {goldenSignals(service, seconds).map((each) => (
          <View key={each.title} style={graph.half}>
            <Text role="heading" aria-level={3} style={text.label}>
              {each.title}
            </Text>
            <Drawn graph={each} seconds={seconds} marks={marks} />
          </View>
        ))}
      </View>
    </View>
  );
}

/** What the dotted lines in the graphs are. */
function Changes({ marks }: { marks: readonly Mark[] }) {
  return (
    <View role="list" aria-label="What changed" style={layout.tight}>
      {marks.slice(0, 5).map(({ at, what }) => (
        <Text key={`${at} ${what}`} role="listitem" style={text.small}>
          <Text style={{ color: color.gold }}>┊</Text> {momentTold(at, Date.now())}: {what}
        </Text>
      ))}
    </View>
  );
}

function markOf({ at, verb, what }: Step): Mark {
  return { at, what: what.length ? what.slice(0, 2).join(', ') : verb };
}

/** A graph that moves on by itself. */
function Drawn({ graph: { title, query, unit }, seconds, marks }: { graph: Graph; seconds: number; marks?: Mark[] }) {
  const asked = useAsked(
    `${query} ${seconds}`,
    async (signal) => {
      const end = Date.now();
      return { seconds, end, lines: await readLines(query, seconds, end, signal) };
    },
    LOOK_MS,
  );
  const seen = asked.value;
  if (asked.error && !seen) return <Failed error={asked.error} />;
  if (!seen) return <Text style={text.soft}>Reading…</Text>;
  return (
    <TimeGraph
      title={title}
      lines={seen.lines}
      from={seen.end - seen.seconds * 1000}
      to={seen.end}
      stepMs={stepOf(seen.seconds) * 1000}
      unit={unit}
      marks={marks}
    />
  );
}

const EXAMPLES = [
  'sum by (service) (rate(aerekos_traffic_requests_total[2m]))',
  'aerekos_worker_used{resource="memory"} / ignoring(direction) aerekos_worker_capacity{resource="memory"}',
  'up == 0',
] as const;

/** Whatever PromQL says. */
function Asking({ seconds }: { seconds: number }) {
  const [asked, setAsked] = useQuery('q');
  const [query, setQuery] = useState(asked);
  useEffect(() => setQuery(asked), [asked]);
  const submit = () => setAsked(query.trim());
  return (
    <Panel title="Ask" note="PromQL">
      <View style={layout.stackWide}>
        <View style={layout.stack}>
          <Field label="Query" value={query} onChange={setQuery} onSubmit={submit} id="promql" />
          <View style={layout.wrap}>
            <Button label="Draw" look="primary" onPress={submit} id="draw" />
            {!asked &&
              EXAMPLES.map((each) => <Button key={each} label={each} look="bare" onPress={() => setAsked(each)} />)}
          </View>
        </View>
        {asked ? <Drawn key={asked} graph={{ title: asked, query: asked, unit: 'plain' }} seconds={seconds} /> : null}
      </View>
    </Panel>
  );
}
