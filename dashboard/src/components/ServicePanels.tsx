import { Text, View } from 'react-native';

import { useObservable } from '../hooks/useObservable';
import { home } from '../styles/home';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { catalog as catalogSeen } from '../utils/catalog';
import { healthOfWord, serviceHealth } from '../utils/health';
import { SERVICES, WORKERS, type Instance, type Service } from '../utils/resources';
import { pageOf } from '../utils/routes';
import { needsOf } from '../utils/topology';
import { useResources } from '../hooks/useResources';
import { Age } from './Age';
import { DataTable, type Column } from './DataTable';
import { Empty } from './Empty';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

/** The copies of a service, what it needs, and who refused to run it. */
export function ServicePanels({ service }: { service: Service }) {
  const catalog = useObservable(catalogSeen);
  const all = useResources<Service>(SERVICES).items;
  const instances = service.status?.instances ?? [];
  const needs = needsOf(service, catalog);
  const refusals = instances.length === 0 ? (service.status?.refusals ?? []) : [];
  return (
    <>
      <Panel title="Copies" note={service.status?.ready ? `${service.status.ready} ready` : undefined} flush>
        {instances.length ? (
          <DataTable label="Copies" columns={COLUMNS} rows={instances} keyOf={(each) => each.name} />
        ) : (
          <Empty
            title="No copy runs"
            next={service.spec.enabled === false ? 'Enable it to start one.' : 'The conditions below say why.'}
          />
        )}
      </Panel>
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
        <Panel title="Who refused, and why">
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
      <StatusMark health={found ? serviceHealth(found) : 'bad'} word={found?.status?.phase ?? 'Not created'} />
    </View>
  );
}

const COLUMNS: Column<Instance>[] = [
  { name: 'Copy', width: 1.2, phone: 'name', cell: (each) => <Text style={text.strong}>{each.name}</Text> },
  {
    name: 'State',
    width: 1,
    phone: 'beside',
    cell: (each) => (
      <StatusMark
        health={each.ready ? 'well' : healthOfWord(each.phase ?? '')}
        word={each.ready ? 'Ready' : (each.phase ?? 'Pending')}
      />
    ),
  },
  {
    name: 'Worker',
    width: 1,
    cell: (each) =>
      each.worker ? (
        <TextLink strong={false} to={pageOf(WORKERS, { metadata: { name: each.worker } })}>
          {each.worker}
        </TextLink>
      ) : (
        <Text style={text.faint}>–</Text>
      ),
  },
  { name: 'Address', width: 1.2, cell: (each) => <Text style={text.small}>{each.address || '–'}</Text> },
  { name: 'Restarts', width: 78, fixed: true, cell: (each) => <Text style={text.number}>{each.restarts ?? 0}</Text> },
  { name: 'Up', width: 64, fixed: true, cell: (each) => <Age of={each.startedAt} /> },
];
