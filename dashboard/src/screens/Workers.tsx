import { useMemo, useState } from 'react';
import { Text, View } from 'react-native';

import { Age } from '../components/Age';
import { Button } from '../components/Button';
import { CopyAs } from '../components/CopyAs';
import { DataTable, type Column } from '../components/DataTable';
import { Empty, Failed } from '../components/Empty';
import { Search } from '../components/Field';
import { JoinDialog } from '../components/JoinDialog';
import { Loading } from '../components/Loading';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { StatusMark } from '../components/StatusMark';
import { TextLink } from '../components/TextLink';
import { LeaseAge, Usage } from '../components/WorkerTile';
import { useResources } from '../hooks/useResources';
import { useMay } from '../hooks/useMay';
import { useQuery } from '../hooks/useQuery';
import { useWish } from '../hooks/useWish';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { setCordoned, setSpec } from '../utils/actions';
import { asList } from '../utils/copyas';
import { workerHealth, workerWord } from '../utils/health';
import { pageOf } from '../utils/routes';
import { JOIN_TOKENS, keyOf, SERVICES, WORKERS, type Resource, type Service, type Worker } from '../utils/resources';

/** The machines. */
export function Workers() {
  const { items, state, error } = useResources<Worker>(WORKERS);
  const services = useResources<Service>(SERVICES).items;
  const may = useMay(WORKERS);
  const mayJoin = useMay(JOIN_TOKENS, 'create');
  const [wanted, setWanted] = useQuery('q');
  const [joining, setJoining] = useState(false);
  const drawn = useMemo(() => columns(services, may), [services, may]);
  useWish('join', () => setJoining(true), mayJoin);
  if (state === 'loading') return <Loading what="workers" />;
  if (state === 'refused') return <Failed error={error} />;
  const shown = items.filter((each) => each.metadata.name.includes(wanted.toLowerCase()));
  return (
    <>
      <ScreenHead title="Workers" about="The machines that run your services.">
        <CopyAs copies={asList(WORKERS)} resources={items} />
        {mayJoin && (
          <Button label="Join a machine" icon="plus" look="primary" onPress={() => setJoining(true)} id="join" />
        )}
      </ScreenHead>
      <Search value={wanted} onChange={setWanted} what="workers" />
      <Panel flush>
        {shown.length ? (
          <DataTable label="Workers" columns={drawn} rows={shown} keyOf={keyOf} question={wanted} main />
        ) : (
          <Empty
            title="No worker matches"
            next={items.length ? 'Search for something else.' : 'Join a machine: it takes one command.'}
          />
        )}
      </Panel>
      {mayJoin && <Tokens />}
      {joining && <JoinDialog onClose={() => setJoining(false)} />}
    </>
  );
}

function columns(services: readonly Service[], may: boolean): Column<Worker>[] {
  const instances = new Map<string, number>();
  for (const each of services.flatMap((service) => service.status?.instances ?? []))
    instances.set(each.worker ?? '', (instances.get(each.worker ?? '') ?? 0) + 1);
  const runs = (worker: Worker) => instances.get(worker.metadata.name) ?? 0;
  const address = (worker: Worker) =>
    worker.status?.addresses?.find((each) => each.type === 'InternalIP')?.address ?? '–';
  const all: Column<Worker>[] = [
    {
      name: 'Name',
      width: 1,
      phone: 'name',
      by: (each) => each.metadata.name,
      cell: (each) => (
        <View>
          <TextLink to={pageOf(WORKERS, each)}>{each.metadata.name}</TextLink>
          <Text style={text.faint}>{address(each)}</Text>
        </View>
      ),
    },
    {
      name: 'Status',
      width: 112,
      fixed: true,
      phone: 'beside',
      by: workerHealth,
      cell: (each) => <StatusMark health={workerHealth(each)} word={workerWord(each)} />,
    },
    {
      name: 'Usage',
      width: 1.7,
      phone: 'whole',
      cell: (each) => <Usage worker={each} />,
    },
    {
      name: 'Heartbeat',
      width: 110,
      fixed: true,
      cell: (each) => <LeaseAge worker={each} />,
    },
    {
      name: 'Instances',
      width: 82,
      fixed: true,
      by: runs,
      cell: (each) => <Text style={text.number}>{runs(each)}</Text>,
    },
    {
      name: 'Age',
      width: 60,
      fixed: true,
      phone: 'none',
      by: (each) => each.metadata.creationTimestamp ?? '',
      cell: (each) => <Age of={each.metadata.creationTimestamp} />,
    },
  ];
  if (!may) return all;
  const cordon = (each: Worker) => {
    const cordoned = each.spec?.unschedulable ?? false;
    return (
      <Button
        label={cordoned ? 'Uncordon' : 'Cordon'}
        look={cordoned ? 'primary' : 'quiet'}
        onPress={() => void setCordoned(each, !cordoned)}
      />
    );
  };
  return [...all, { name: '', width: 104, fixed: true, end: true, cell: cordon }];
}

function Tokens() {
  const { items } = useResources(JOIN_TOKENS);
  if (items.length === 0) return null;
  return (
    <Panel title="Join tokens" note="only hashes are stored" flush>
      <DataTable label="Join tokens" columns={TOKEN_COLUMNS} rows={items} keyOf={keyOf} />
    </Panel>
  );
}

function stateOf(token: Resource): { health: 'well' | 'idle'; word: string } {
  if (token.spec.revoked) return { health: 'idle', word: 'Revoked' };
  if (Date.parse(token.spec.expiresAt) < Date.now()) return { health: 'idle', word: 'Expired' };
  if (token.spec.uses && (token.status?.used ?? 0) >= token.spec.uses) return { health: 'idle', word: 'Used up' };
  return { health: 'well', word: 'Usable' };
}

const TOKEN_COLUMNS: Column<Resource>[] = [
  { name: 'Name', width: 1, phone: 'name', cell: (each) => <Text style={text.body}>{each.metadata.name}</Text> },
  { name: 'State', width: 1, phone: 'beside', cell: (each) => <StatusMark {...stateOf(each)} /> },
  {
    name: 'Used',
    width: 0.6,
    cell: (each) => <Text style={text.small}>{`${each.status?.used ?? 0} of ${each.spec.uses || 'any'}`}</Text>,
  },
  {
    name: 'Until',
    width: 1,
    cell: (each) => <Text style={text.small}>{new Date(each.spec.expiresAt).toLocaleString()}</Text>,
  },
  {
    name: '',
    width: 96,
    fixed: true,
    end: true,
    cell: (each) =>
      stateOf(each).word === 'Usable' ? (
        <Button
          label="Revoke"
          look="danger"
          onPress={() => void setSpec(JOIN_TOKENS, each, { revoked: true }, `${each.metadata.name} is revoked`)}
        />
      ) : (
        <View style={layout.row} />
      ),
  },
];
