import { useMemo } from 'react';
import { Text, View } from 'react-native';

import { AttentionList } from '../components/Attention';
import { Button } from '../components/Button';
import { CopyAs } from '../components/CopyAs';
import { Empty, Failed } from '../components/Empty';
import { ChangeFeed } from '../components/ChangeFeed';
import { EventFeed } from '../components/EventFeed';
import { FirstSteps } from '../components/FirstSteps';
import { Loading } from '../components/Loading';
import { Panel } from '../components/Panel';
import { Sign } from '../components/Sign';
import { TextLink } from '../components/TextLink';
import { TopologyMap } from '../components/TopologyMap';
import { WorkerTile } from '../components/WorkerTile';
import { useChanges } from '../hooks/useChanges';
import { useLayout } from '../hooks/useLayout';
import { useObservable } from '../hooks/useObservable';
import { useReport } from '../hooks/useReport';
import { useResources } from '../hooks/useResources';
import { useTraffic } from '../hooks/useTraffic';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { attention, badgeOf, verdict } from '../utils/attention';
import { catalog as catalogSeen } from '../utils/catalog';
import { curl } from '../utils/copyas';
import { workerHealth } from '../utils/health';
import type { Told } from '../utils/report';
import { go } from '../utils/routes';
import { EVENTS, KEYS, SERVICES, WORKERS, type Event, type Service, type Worker } from '../utils/resources';
import { graphOf } from '../utils/topology';

const CHANGING = [SERVICES, WORKERS, KEYS];
const LOOK_BACK = 600;
const TILES = 12;
const TILES_PHONE = 4;

/** Is all well? What needs me? What is going on? */
export function Home() {
  const services = useResources<Service>(SERVICES);
  const workers = useResources<Worker>(WORKERS);
  const keys = useResources(KEYS);
  const events = useResources<Event>(EVENTS);
  const { phone, layout: room } = useLayout();
  const seen = useReport();
  const items = useMemo(
    () =>
      attention(seen.report?.findings ?? [], { services: services.items, workers: workers.items, keys: keys.items }),
    [seen, services.items, workers.items, keys.items],
  );
  const isKnown = seen.report !== null || seen.error !== null;
  if (services.state === 'loading' || workers.state === 'loading' || !isKnown) {
    return <Loading what="services · workers · events" />;
  }
  if (services.state === 'refused') return <Failed error={services.error} />;
  const side = room !== 'desktop';
  return (
    <>
      <Verdict seen={seen} services={services.items} workers={workers.items} phone={phone} />
      {items.length > 0 && (
        <Panel title={badgeOf(seen) ? 'Needs attention' : 'Good to know'}>
          <AttentionList items={items} />
        </Panel>
      )}
      <FirstSteps services={services.items} workers={workers.items} />
      <Workers workers={workers.items} most={phone ? TILES_PHONE : TILES} />
      <Topology services={services.items} phone={phone} />
      <View style={side ? layout.columnsPhone : layout.columns}>
        <View style={side ? layout.stackWide : layout.side}>
          <Changes services={services.items} />
        </View>
        <View style={side ? layout.stackWide : layout.side}>
          <Panel title="Events" note="the last hour">
            <EventFeed events={events.items} most={phone ? 8 : 10} />
          </Panel>
        </View>
      </View>
    </>
  );
}

interface VerdictProps {
  seen: Told;
  services: readonly Service[];
  workers: readonly Worker[];
  phone: boolean;
}

function Verdict({ seen, services, workers, phone }: VerdictProps) {
  const { health, line, detail } = verdict(seen, services, workers);
  const copies = {
    aerekos: 'aerekos status',
    kubectl: 'kubectl get --raw /health/report',
    curl: curl('/health/report'),
  };
  return (
    <View style={[layout.between, { flexWrap: 'wrap' }]}>
      <View
        style={[home.verdict, layout.shrink, phone && { flexWrap: 'nowrap', gap: 16 }]}
        role="status"
        testID="verdict"
      >
        <View style={[home.seal, phone && { width: 40, height: 40 }]}>
          <Sign health={health} size={phone ? 36 : 46} />
        </View>
        <View style={layout.shrink}>
          <Text
            role="heading"
            aria-level={1}
            style={[
              home.verdictLine,
              phone && home.verdictLinePhone,
              { color: health === 'well' ? color.text : color[health] },
            ]}
          >
            {line}
          </Text>
          <Text style={text.soft}>{detail}</Text>
        </View>
      </View>
      <CopyAs copies={copies} resources={services} />
    </View>
  );
}

function Workers({ workers, most }: { workers: readonly Worker[]; most: number }) {
  const { phone } = useLayout();
  const worst = [...workers].sort((a, b) => Number(workerHealth(a) === 'well') - Number(workerHealth(b) === 'well'));
  const shown = worst.slice(0, most);
  return (
    <View style={layout.stack}>
      <View style={layout.between}>
        <Text role="heading" aria-level={2} style={text.label}>
          Workers
        </Text>
        <TextLink to="/ui/workers" strong={false}>
          All workers
        </TextLink>
      </View>
      <View style={[home.strip, phone && home.stripPhone]}>
        {shown.map((worker) => (
          <WorkerTile key={worker.metadata.name} worker={worker} />
        ))}
      </View>
    </View>
  );
}

function Topology({ services, phone }: { services: readonly Service[]; phone: boolean }) {
  const catalog = useObservable(catalogSeen);
  const flows = useTraffic();
  const talks = flows.map((each) => `${each.from}>${each.to}`).join();
  // eslint-disable-next-line react-hooks/exhaustive-deps -- rates move every second; who talks with whom does not
  const graph = useMemo(() => graphOf(services, catalog, phone ? 8 : 26, flows), [services, catalog, phone, talks]);
  return (
    <Panel title="Topology" note="gateway → services → what they need, with requests a second">
      {graph.nodes.length > 1 ? (
        <TopologyMap graph={graph} services={services} flows={flows} />
      ) : (
        <Empty title="No service is enabled" next="Enable one from the catalog; it appears here at once.">
          <Button label="Open the catalog" look="primary" onPress={() => go('/ui/services')} />
        </Empty>
      )}
    </Panel>
  );
}

function Changes({ services }: { services: readonly Service[] }) {
  const newest = Math.max(0, ...services.map((each) => Number(each.metadata.resourceVersion ?? 0)));
  const steps = useChanges(CHANGING, newest ? Math.max(1, newest - LOOK_BACK) : 0);
  return (
    <Panel title="Recent changes" note="spec changes">
      <ChangeFeed steps={steps} most={8} />
    </Panel>
  );
}
