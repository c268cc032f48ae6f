import { Text, View } from 'react-native';

import { useLoopHealth } from '../hooks/useLoopHealth';
import { panel } from '../styles/panel';
import { text } from '../styles/text';
import { space } from '../styles/tokens';
import { curl } from '../utils/copyas';
import {
  informerTold,
  lastTold,
  passesTold,
  queueTold,
  stateOf,
  timesTold,
  type LoopHealth,
  type LoopKind,
} from '../utils/loopHealth';
import { span } from '../utils/time';
import { CopyAs } from './CopyAs';
import { DataTable, type Column } from './DataTable';
import { Failed } from './Empty';
import { Fact, Facts } from './Facts';
import { Loading } from './Loading';
import { Panel } from './Panel';
import { StatusMark } from './StatusMark';

const COPIES = { kubectl: 'kubectl get --raw /health/loop', curl: curl('/health/loop') };

/** Whether the conductor keeps up: its queues, passes, copies, commits and watchers. */
export function LoopPanel() {
  const { loop, error } = useLoopHealth();
  // Somebody without a role may not read it, and misses nothing they could act on.
  if (error?.code === 403) return null;
  return (
    <Panel title="Control loop" flush right={<CopyAs copies={COPIES} />}>
      {loop ? <Told loop={loop} /> : error ? <Failed error={error} /> : <Loading what="the control loop" />}
    </Panel>
  );
}

function Told({ loop }: { loop: LoopHealth }) {
  return (
    <>
      <DataTable label="Control loop" columns={COLUMNS} rows={loop.kinds} keyOf={(each) => each.name} />
      <View style={[panel.body, { paddingTop: space.l }]}>
        <Numbers loop={loop} />
      </View>
    </>
  );
}

function Numbers({ loop: { store, watchers, unreadableRecords, traces } }: { loop: LoopHealth }) {
  const shared = store.changesPerCommit === null ? '' : `, ${store.changesPerCommit.toFixed(1)} changes each`;
  const watching = Object.keys(watchers.byKind).length;
  return (
    <Facts>
      <Fact name="Revision">{store.revision.toLocaleString('en')}</Fact>
      <Fact name="Commits">{`${store.commits.count.toLocaleString('en')}${shared}`}</Fact>
      <Fact name="Time of a commit">{timesTold(store.commits)}</Fact>
      <Fact name="Failed commits">{store.failedCommits}</Fact>
      <Fact name="Watchers">{watchers.now ? `${watchers.now} of ${watching} kinds` : '0'}</Fact>
      <Fact name="Slow, listed again">{`${watchers.slow}, ${watchers.expired}`}</Fact>
      <Fact name="Unreadable records">{unreadableRecords}</Fact>
      <Fact name="Traces">{traces ? `${traces.exported} sent, ${traces.failed} lost` : 'off'}</Fact>
    </Facts>
  );
}

const COLUMNS: Column<LoopKind>[] = [
  {
    name: 'Kind',
    width: 1.6,
    phone: 'name',
    by: (each) => each.name,
    cell: (each) => (
      <Text style={[text.strong, { overflowWrap: 'anywhere' }]} numberOfLines={2}>
        {each.name}
      </Text>
    ),
  },
  { name: 'State', width: 130, fixed: true, phone: 'beside', cell: (each) => <StatusMark {...stateOf(each)} /> },
  { name: 'Queue', width: 1, by: (each) => each.queue?.depth ?? -1, cell: (each) => <Cell told={queueTold(each)} /> },
  {
    name: 'Oldest key',
    width: 0.7,
    by: (each) => each.queue?.oldestSeconds ?? -1,
    cell: (each) => <Cell told={each.queue?.oldestSeconds ? span(each.queue.oldestSeconds) : '–'} />,
  },
  {
    name: 'Passes',
    width: 1.2,
    by: (each) => each.passes?.seconds.count ?? -1,
    cell: (each) => <Cell told={passesTold(each)} />,
  },
  { name: 'Last pass', width: 1.1, cell: (each) => <Cell told={lastTold(each)} /> },
  {
    name: 'Time of a pass',
    width: 1.4,
    by: (each) => each.passes?.seconds.mean ?? -1,
    cell: (each) => <Cell told={each.passes ? timesTold(each.passes.seconds) : '–'} />,
  },
  {
    name: 'Informer',
    width: 1.2,
    by: (each) => each.informer?.lagRevisions ?? -1,
    cell: (each) => <Cell told={informerTold(each)} />,
  },
];

function Cell({ told }: { told: string }) {
  return <Text style={[text.small, { fontVariant: ['tabular-nums'], overflowWrap: 'anywhere' }]}>{told}</Text>;
}
