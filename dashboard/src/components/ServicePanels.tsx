import { useMemo } from 'react';
import { Text, View } from 'react-native';

import { useBeats } from '../hooks/useBeats';
import { useObservable } from '../hooks/useObservable';
import { useTraffic } from '../hooks/useTraffic';
import { detail } from '../styles/detail';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import { usedBy, type Beat } from '../utils/beats';
import { catalog as catalogSeen } from '../utils/catalog';
import { healthOfWord, serviceHealth, serviceWord } from '../utils/health';
import { bytes } from '../utils/quantities';
import { SERVICES, WORKERS, type Instance, type Service } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { needsOf } from '../utils/topology';
import { ejections, errorShare, flowTo, perSecond } from '../utils/traffic';
import { useResources } from '../hooks/useResources';
import { Age } from './Age';
import { DataTable, type Column } from './DataTable';
import { Empty } from './Empty';
import { EnginePanel } from './EnginePanel';
import { Panel } from './Panel';
import { Metric, Spark } from './Spark';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** A service: its last minute, its instances, what it needs, and which workers placement rejected. */
export function ServicePanels({ service }: { service: Service }) {
  const catalog = useObservable(catalogSeen);
  const all = useResources<Service>(SERVICES).items;
  const instances = service.status?.instances ?? [];
  const needs = needsOf(service, catalog);
  const refusals = instances.length === 0 ? (service.status?.refusals ?? []) : [];
  const beats = useBeats();
  const columns = useMemo(() => columnsOf(usesByInstance(beats)), [beats]);
  return (
    <>
      {instances.length > 0 && <Numbers service={service} beats={beats} />}
      <Panel title="Instances" note={service.status?.ready ? `${service.status.ready} ready` : undefined} flush>
        {instances.length ? (
          <DataTable label="Instances" columns={columns} rows={instances} keyOf={(each) => each.name} />
        ) : (
          <Empty
            title="No running instances"
            next={service.spec.enabled === false ? 'Enable it to start one.' : 'The conditions below say why.'}
          />
        )}
      </Panel>
      {service.status?.engine && <EnginePanel service={service} />}
      {needs.length > 0 && (
        <Panel title="Needs">
          <View style={layout.stack}>
            {needs.map((name) => (
              <Need key={name} name={name} found={all.find((each) => each.metadata.name === name)} />
            ))}
          </View>
        </Panel>
      )}
      {refusals.length > 0 && (
        <Panel title="Workers rejected by placement">
          {refusals.map((each, index) => (
            <View key={each.worker} style={[home.feedRow, index === 0 && home.itemFirst]}>
              <Text style={[text.strong, { width: 150 }]}>{each.worker}</Text>
              <Text style={[text.soft, layout.grow]}>{each.reason}</Text>
            </View>
          ))}
        </Panel>
      )}
    </>
  );
}

function Need({ name, found }: { name: string; found: Service | undefined }) {
  return (
    <View style={layout.between}>
      {found ? <TextLink to={pageOf(SERVICES, found)}>{name}</TextLink> : <Text style={text.strong}>{name}</Text>}
      <StatusMark health={found ? serviceHealth(found) : 'bad'} word={found ? serviceWord(found) : 'Not created'} />
    </View>
  );
}

/** What it uses and who asks it, over the last minute. */
function Numbers({ service, beats }: { service: Service; beats: ReadonlyMap<string, Beat> }) {
  const flow = flowTo(service.metadata.name, useTraffic());
  const { cpu, memory } = usedBy(
    (service.status?.instances ?? []).map((each) => each.name),
    beats,
  );
  const errors = flow ? errorShare(flow) : '';
  return (
    <Panel title="Last minute">
      <View style={detail.metrics} testID="metrics">
        <Metric name="CPU" told={cpu.length ? `${cpu.at(-1)!.toFixed(2)} cores` : '–'} values={cpu} />
        <Metric name="Memory" told={memory.length ? bytes(memory.at(-1)!) : '–'} values={memory} />
        <Metric name="Requests" told={flow ? perSecond(flow.rate) : 'none'} values={flow?.trail ?? []} />
        <Metric
          name="Errors"
          told={[errors || 'none', ejections(flow)].filter(Boolean).join('; ')}
          values={flow?.errorTrail ?? []}
          tint={errors ? color.bad : color.soft}
        />
        <Metric
          name="Latency"
          told={flow?.tookMs ? `${flow.tookMs.toFixed(flow.tookMs < 10 ? 1 : 0)} ms` : '–'}
          values={[]}
        />
      </View>
    </Panel>
  );
}

function usesByInstance(beats: ReadonlyMap<string, Beat>): Map<string, { cpu: number[]; memory: number[] }> {
  return new Map([...beats.values()].flatMap((beat) => Object.entries(beat.trails)));
}

function columnsOf(uses: Map<string, { cpu: number[]; memory: number[] }>): Column<Instance>[] {
  return [
    { name: 'Instance', width: 1.2, phone: 'name', cell: (each) => <Text style={text.strong}>{each.name}</Text> },
    {
      name: 'State',
      width: 84,
      fixed: true,
      phone: 'beside',
      cell: (each) => (
        <StatusMark
          health={each.ready ? 'well' : healthOfWord(each.phase ?? '')}
          word={each.ready ? 'Ready' : (each.phase ?? 'Pending')}
        />
      ),
    },
    { name: 'Worker', width: 1.2, cell: (each) => <Where instance={each} /> },
    {
      name: 'CPU',
      width: 76,
      fixed: true,
      cell: (each) => <Trail values={uses.get(each.name)?.cpu} told={coresTold} />,
    },
    {
      name: 'Memory',
      width: 76,
      fixed: true,
      cell: (each) => <Trail values={uses.get(each.name)?.memory} told={bytes} />,
    },
    { name: 'Restarts', width: 72, fixed: true, cell: (each) => <Text style={text.number}>{each.restarts ?? 0}</Text> },
    { name: 'Up', width: 52, fixed: true, cell: (each) => <Age of={each.startedAt} /> },
  ];
}

function Where({ instance }: { instance: Instance }) {
  if (!instance.worker) return <Text style={text.faint}>–</Text>;
  return (
    <View style={layout.tight}>
      <TextLink strong={false} to={pageOf(WORKERS, { metadata: { name: instance.worker } })}>
        {instance.worker}
      </TextLink>
      {instance.address ? (
        <Text style={text.faint} numberOfLines={1}>
          {instance.address}
        </Text>
      ) : null}
    </View>
  );
}

function coresTold(value: number): string {
  return value.toFixed(2);
}

function Trail({ values, told }: { values: readonly number[] | undefined; told: (value: number) => string }) {
  if (!values?.length) return <Text style={text.faint}>–</Text>;
  return (
    <View style={layout.tight}>
      <Text style={text.small}>{told(values.at(-1)!)}</Text>
      <Spark values={values} width={76} height={14} />
    </View>
  );
}
