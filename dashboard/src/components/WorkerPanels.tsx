import { View } from 'react-native';

import { useBeat } from '../hooks/useBeats';
import { useResources } from '../hooks/useResources';
import { layout } from '../styles/layout';
import { workerHealth } from '../utils/health';
import { amount, bytes, cores } from '../utils/quantities';
import { pageOf } from '../utils/routes';
import { SERVICES, type Instance, type Service, type Worker } from '../utils/resources';
import { Text } from 'react-native';
import { text } from '../styles/text';
import type { Beat } from '../utils/beats';
import { Snippet } from './CopyAs';
import { DataTable, type Column } from './DataTable';
import { Empty } from './Empty';
import { Fact, Facts } from './Facts';
import { Panel } from './Panel';
import { Metric } from './Spark';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';
import { LeaseAge, Usage } from './WorkerTile';

/** A machine: its use now, what runs there, and how to get it back when its heartbeat is missing. */
export function WorkerPanels({ worker }: { worker: Worker }) {
  const beat = useBeat(worker.metadata.name);
  const services = useResources<Service>(SERVICES).items;
  const silent = workerHealth(worker) === 'bad';
  const system = worker.status?.system ?? {};
  return (
    <>
      {silent && <Troubleshoot />}
      <Panel title="Usage" right={<LeaseAge worker={worker} />}>
        <View style={layout.stackWide}>
          <Usage worker={worker} />
          <Facts>
            <Metric
              name="CPU, last minute"
              told={beat ? `${cores(beat.usage.cpu)} cores` : '–'}
              values={beat?.cpuTrail ?? []}
              top={amount(worker.status?.capacity?.cpu)}
            />
            <Fact name="Address">{worker.status?.addresses?.map((each) => each.address).join(', ') || '–'}</Fact>
            <Fact name="System">{[system.osImage, system.architecture].filter(Boolean).join(' · ') || '–'}</Fact>
            <Fact name="Kernel">{system.kernelVersion || '–'}</Fact>
            <Fact name="Network">
              {beat ? `↓ ${bytes(beat.usage.networkReceived)}  ↑ ${bytes(beat.usage.networkSent)}` : '–'}
            </Fact>
          </Facts>
        </View>
      </Panel>
      <Runs worker={worker.metadata.name} services={services} beat={beat} />
    </>
  );
}

function Troubleshoot() {
  return (
    <Panel title="Troubleshoot">
      <View style={layout.stack}>
        <Text style={text.body}>
          No heartbeat arrives. Look whether the machine is on and reaches this cloud, then start its agent there:
        </Text>
        <Snippet name="On that machine" code={`aerekos-agent --api ${window.location.origin}`} />
        <Text style={text.faint}>It keeps its identity: no new token is needed unless its home was lost.</Text>
      </View>
    </Panel>
  );
}

interface Running {
  service: Service;
  instance: Instance;
}

function Runs({ worker, services, beat }: { worker: string; services: readonly Service[]; beat: Beat | undefined }) {
  const rows = services.flatMap((service) =>
    (service.status?.instances ?? [])
      .filter((each) => each.worker === worker)
      .map((instance) => ({ service, instance })),
  );
  const columns: Column<Running>[] = [
    {
      name: 'Instance',
      width: 1.4,
      phone: 'name',
      cell: (row) => <TextLink to={pageOf(SERVICES, row.service)}>{row.instance.name}</TextLink>,
    },
    {
      name: 'State',
      width: 1,
      phone: 'beside',
      cell: (row) => (
        <StatusMark
          health={row.instance.ready ? 'well' : 'busy'}
          word={row.instance.ready ? 'Ready' : (row.instance.phase ?? 'Pending')}
        />
      ),
    },
    {
      name: 'CPU',
      width: 0.6,
      cell: (row) => <Text style={text.number}>{(beat?.services[row.instance.name]?.cpu ?? 0).toFixed(2)}</Text>,
    },
    {
      name: 'Memory',
      width: 0.8,
      cell: (row) => <Text style={text.number}>{bytes(beat?.services[row.instance.name]?.memory ?? 0)}</Text>,
    },
  ];
  return (
    <Panel title="Instances on this worker" flush>
      {rows.length ? (
        <DataTable label="Instances on this worker" columns={columns} rows={rows} keyOf={(row) => row.instance.name} />
      ) : (
        <Empty title="Nothing runs here" next="Services are placed here when there is room, unless it is cordoned." />
      )}
    </Panel>
  );
}
