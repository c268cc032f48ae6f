import { Suspense, useMemo, useState } from 'react';
import { Text, View } from 'react-native';

import { Age } from '../components/Age';
import { Button } from '../components/Button';
import { Catalog } from '../components/Catalog';
import { CopyAs } from '../components/CopyAs';
import { DataTable, type Column } from '../components/DataTable';
import { Empty, Failed } from '../components/Empty';
import { Choice, Search } from '../components/Field';
import { Loading } from '../components/Loading';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { StatusMark } from '../components/StatusMark';
import { Stepper } from '../components/Stepper';
import { TextLink } from '../components/TextLink';
import { useResources } from '../hooks/useResources';
import { useMay } from '../hooks/useMay';
import { useQuery, useQueryChoice } from '../hooks/useQuery';
import { useWish } from '../hooks/useWish';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { enableOrDisable } from '../utils/careful';
import { asList } from '../utils/copyas';
import { serviceHealth, serviceWord, type Health } from '../utils/health';
import { lazily } from '../utils/lazily';
import { pageOf } from '../utils/routes';
import { conditionOf, keyOf, SERVICES, type Service } from '../utils/resources';

const NewServiceDialog = lazily(() => import('../components/NewServiceDialog'), 'NewServiceDialog');
const NewDialog = lazily(() => import('../components/NewDialog'), 'NewDialog');
/** Any container, for those who write YAML. */
const BEGIN = { image: 'nginx:1.27-alpine', replicas: 1, ports: [{ name: 'http', port: 8080 }], env: [] };
const FILTERS = [
  { value: 'all', name: 'All' },
  { value: 'trouble', name: 'Unhealthy' },
  { value: 'well', name: 'Ready' },
  { value: 'idle', name: 'Disabled' },
] as const;
type Filter = (typeof FILTERS)[number]['value'];
const SHOWN = FILTERS.map(({ value }) => value);

/** What runs, and what could. */
export function Services() {
  const { items, state, error } = useResources<Service>(SERVICES);
  const may = useMay(SERVICES);
  const mayCreate = useMay(SERVICES, 'create');
  const [making, setMaking] = useState<'template' | 'yaml' | null>(null);
  useWish('new', () => setMaking('template'), mayCreate);
  const [wanted, setWanted] = useQuery('q');
  const [filter, setFilter] = useQueryChoice('show', SHOWN);
  const shown = useMemo(
    () => worstFirst(items.filter((each) => matches(each, wanted, filter))),
    [items, wanted, filter],
  );
  const drawn = useMemo(() => columns(may), [may]);
  if (state === 'loading') return <Loading what="services" />;
  if (state === 'refused') return <Failed error={error} />;
  return (
    <>
      <ScreenHead title="Services" about="Desired workloads and their state.">
        <CopyAs copies={asList(SERVICES)} resources={items} />
        {mayCreate && (
          <Button label="New service" icon="plus" look="primary" onPress={() => setMaking('template')} id="new" />
        )}
      </ScreenHead>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <Search value={wanted} onChange={setWanted} what="services" />
        <Choice label="Which" options={FILTERS} chosen={filter} onChoose={setFilter} />
      </View>
      <Panel flush>
        {shown.length ? (
          <DataTable
            label="Services"
            columns={drawn}
            rows={shown}
            keyOf={keyOf}
            question={`${wanted} ${filter}`}
            main
          />
        ) : (
          <Empty
            title="No service matches"
            next={
              items.length
                ? 'Search for something else, or show all.'
                : 'Create one, or enable one from the catalog below.'
            }
          />
        )}
      </Panel>
      <Catalog services={items} may={may} />
      <Suspense fallback={null}>
        {making === 'template' && <NewServiceDialog onClose={() => setMaking(null)} onYaml={() => setMaking('yaml')} />}
        {making === 'yaml' && <NewDialog kind={SERVICES} begin={BEGIN} onClose={() => setMaking(null)} />}
      </Suspense>
    </>
  );
}

const WEIGHT: Record<Health, number> = { bad: 0, warn: 1, unknown: 2, busy: 3, well: 4, idle: 5 };

function worstFirst(services: readonly Service[]): Service[] {
  return [...services].sort((a, b) => WEIGHT[serviceHealth(a)] - WEIGHT[serviceHealth(b)]);
}

function matches(service: Service, wanted: string, filter: Filter): boolean {
  const health = serviceHealth(service);
  const fits = {
    all: true,
    trouble: health !== 'well' && health !== 'idle',
    well: health === 'well',
    idle: health === 'idle',
  }[filter];
  return (
    fits &&
    `${service.metadata.name} ${service.spec.managed ?? ''} ${service.spec.image ?? ''} ${service.spec.engine?.name ?? ''}`.includes(
      wanted.toLowerCase(),
    )
  );
}

function columns(may: boolean): Column<Service>[] {
  return [
    {
      name: 'Name',
      width: 1.3,
      phone: 'name',
      by: (each) => each.metadata.name,
      cell: (each) => (
        <View style={layout.tight}>
          <TextLink to={pageOf(SERVICES, each)}>{each.metadata.name}</TextLink>
          <Text style={text.faint} numberOfLines={1}>
            {each.spec.managed ?? each.spec.image ?? each.spec.engine?.name ?? each.spec.command?.join(' ')}
            {each.metadata.namespace === 'default' ? '' : ` · ${each.metadata.namespace}`}
          </Text>
        </View>
      ),
    },
    {
      name: 'Status',
      width: 132,
      fixed: true,
      phone: 'beside',
      by: serviceWord,
      cell: (each) => <StatusMark health={serviceHealth(each)} word={serviceWord(each)} />,
    },
    {
      name: 'Ready',
      width: 62,
      fixed: true,
      phone: 'none',
      by: (each) => each.status?.readyReplicas ?? 0,
      cell: (each) => <Text style={text.number}>{each.status?.ready ?? '0/0'}</Text>,
    },
    {
      name: 'Why',
      width: 1.9,
      cell: (each) => (
        <Text style={text.small} numberOfLines={2}>
          {conditionOf(each, 'Ready')?.message ?? 'Pending'}
        </Text>
      ),
    },
    {
      name: 'Age',
      width: 56,
      fixed: true,
      phone: 'none',
      by: (each) => each.metadata.creationTimestamp ?? '',
      cell: (each) => <Age of={each.metadata.creationTimestamp} />,
    },
    ...(may ? changing : []),
  ];
}

const changing: Column<Service>[] = [
  { name: 'Instances', width: 106, fixed: true, cell: (each) => <Stepper service={each} /> },
  {
    name: '',
    width: 92,
    fixed: true,
    end: true,
    cell: (each) => {
      const enabled = each.spec.enabled ?? true;
      return (
        <Button
          label={enabled ? 'Disable' : 'Enable'}
          look={enabled ? 'quiet' : 'golden'}
          onPress={() => enableOrDisable(each, !enabled)}
        />
      );
    },
  },
];
