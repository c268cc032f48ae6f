import { useState } from 'react';
import { Text, View } from 'react-native';

import { Age } from '../components/Age';
import { Button } from '../components/Button';
import { DataTable, type Column } from '../components/DataTable';
import { Empty, Failed } from '../components/Empty';
import { Choice } from '../components/Field';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { ServiceOff } from '../components/ServiceOff';
import { StatusMark } from '../components/StatusMark';
import { TextLink } from '../components/TextLink';
import { useAsked } from '../hooks/useAsked';
import { useMay } from '../hooks/useMay';
import { useResources } from '../hooks/useResources';
import { useSpeaking } from '../hooks/useSpeaking';
import { graph } from '../styles/graph';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import {
  endSilence,
  HOURS,
  particulars,
  readFiring,
  readRules,
  ruleState,
  ruleTold,
  severity,
  silence,
  testChannel,
  type FiringAlert,
  type Hours,
  type Rule,
} from '../utils/alerts';
import { healthOf, phaseOf } from '../utils/health';
import { ALERT_CHANNELS, ALERT_RULES, ALERT_SILENCES, type Resource } from '../utils/resources';
import { listPage, pageOf } from '../utils/routes';

const LOOK_MS = 10_000;

/** What is alarming now, which rules say so, and who is told. */
export function Alerts() {
  const { health } = useSpeaking('monitoring');
  return (
    <>
      <ScreenHead title="Alerts" about="What is alarming now, which rules say so, and who is told.">
        <TextLink to={listPage(ALERT_RULES)}>Rules of one's own</TextLink>
        <TextLink to={listPage(ALERT_CHANNELS)}>Channels</TextLink>
      </ScreenHead>
      <ServiceOff speaks="monitoring" what="Nobody is told of anything" />
      {health === 'well' && (
        <>
          <Inbox />
          <Silences />
          <Channels />
          <Rules />
        </>
      )}
    </>
  );
}

function Inbox() {
  const told = useAsked('alerts', readFiring, LOOK_MS);
  const alerts = told.value ?? [];
  return (
    <Panel title="Fires now" note={told.value ? `${alerts.length}` : undefined}>
      {told.error ? <Failed error={told.error} /> : null}
      {!told.value && !told.error && <Text style={text.soft}>Reading…</Text>}
      {told.value && !alerts.length && <Empty title="Nothing is alarming" next="Rules are computed all the time." />}
      <View role="list" aria-label="Alerts that fire">
        {alerts.map((each) => (
          <Firing key={each.fingerprint} alert={each} onDone={told.again} />
        ))}
      </View>
    </Panel>
  );
}

function Firing({ alert, onDone }: { alert: FiringAlert; onDone: () => void }) {
  const may = useMay(ALERT_SILENCES, 'create', alert.labels.namespace ?? 'default');
  const [asking, setAsking] = useState(false);
  const [hours, setHours] = useState<Hours>('1');
  const { summary, description, runbook_url: runbook } = alert.annotations;
  const quiet = [...alert.status.silencedBy, ...alert.status.inhibitedBy];
  const confirm = () => {
    setAsking(false);
    void silence(alert, Number(hours)).then(onDone);
  };
  return (
    <View role="listitem" style={graph.alert}>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <View style={[layout.wrap, layout.fit]}>
          <StatusMark {...severity(alert.labels.severity)} />
          <Text style={text.strong}>{alert.labels.alertname}</Text>
          <Age of={alert.startsAt} />
        </View>
        {quiet.length > 0 && <StatusMark health="idle" word={`nobody is told: ${quiet.join(', ')}`} />}
        {may && !quiet.length && !asking && <Button label="Silence" onPress={() => setAsking(true)} id="silence" />}
      </View>
      {summary ? <Text style={text.body}>{summary}</Text> : null}
      {description ? <Text style={text.soft}>{description}</Text> : null}
      <Text style={[text.faint, { overflowWrap: 'anywhere' }]}>{particulars(alert)}</Text>
      {runbook ? <Text style={text.small}>Runbook: {runbook}</Text> : null}
      {asking && (
        <View style={layout.wrap}>
          <Choice label="For how long" options={HOURS} chosen={hours} onChoose={setHours} />
          <Button label="Tell nobody" look="primary" onPress={confirm} id="silence-now" />
          <Button label="Cancel" look="bare" onPress={() => setAsking(false)} />
        </View>
      )}
    </View>
  );
}

function Silences() {
  const { items } = useResources(ALERT_SILENCES);
  const may = useMay(ALERT_SILENCES, 'delete');
  const holding = items.filter((each) => phaseOf(each) !== 'Expired');
  if (!holding.length) return null;
  const columns: Column<Resource>[] = [
    {
      name: 'Of',
      width: 3,
      cell: (each) => <Text style={text.body}>{String(each.spec?.comment || each.metadata.name)}</Text>,
      phone: 'name',
    },
    { name: 'State', width: 1, cell: (each) => <StatusMark health={healthOf(each)} word={phaseOf(each)} /> },
    {
      name: 'Until',
      width: 2,
      cell: (each) => <Text style={text.small}>{new Date(String(each.spec?.endsAt)).toLocaleString('en')}</Text>,
    },
    ...(may
      ? [
          {
            name: '',
            width: 1,
            end: true,
            cell: (each: Resource) => <Button label="End" onPress={() => void endSilence(each)} />,
          },
        ]
      : []),
  ];
  return (
    <Panel title="Silences" flush>
      <DataTable
        label="Silences"
        columns={columns}
        rows={holding}
        keyOf={(each) => each.metadata.uid ?? each.metadata.name}
      />
    </Panel>
  );
}

function Channels() {
  const { items } = useResources(ALERT_CHANNELS);
  const may = useMay(ALERT_CHANNELS, 'patch');
  const columns: Column<Resource>[] = [
    {
      name: 'Channel',
      width: 2,
      cell: (each) => <TextLink to={pageOf(ALERT_CHANNELS, each)}>{each.metadata.name}</TextLink>,
      phone: 'name',
    },
    { name: 'Type', width: 1, cell: (each) => <Text style={text.small}>{String(each.spec?.type ?? '')}</Text> },
    {
      name: 'State',
      width: 1,
      cell: (each) => <StatusMark health={each.status?.error ? 'bad' : healthOf(each)} word={phaseOf(each)} />,
    },
    {
      name: 'Told',
      width: 1,
      cell: (each) => <Age of={each.status?.lastToldAt as string | undefined} suffix=" ago" />,
    },
    {
      name: 'Why not',
      width: 3,
      cell: (each) => <Text style={text.small}>{String(each.status?.error ?? '')}</Text>,
      phone: 'whole',
    },
    ...(may
      ? [
          {
            name: '',
            width: 1,
            end: true,
            cell: (each: Resource) => <Button label="Test" onPress={() => void testChannel(each)} />,
          },
        ]
      : []),
  ];
  return (
    <Panel title="Who is told" flush>
      {items.length ? (
        <DataTable
          label="Channels"
          columns={columns}
          rows={items}
          keyOf={(each) => each.metadata.uid ?? each.metadata.name}
        />
      ) : (
        <Empty title="Nobody is told" next="An AlertChannel says who is: mail, Slack, PagerDuty, or an address." />
      )}
    </Panel>
  );
}

const RULES: Column<Rule>[] = [
  {
    name: 'Rule',
    width: 2,
    cell: (each) => <Text style={text.body}>{each.name}</Text>,
    by: (each) => each.name,
    phone: 'name',
  },
  {
    name: 'State',
    width: 1,
    cell: (each) => <StatusMark {...ruleState(each)} />,
    by: (each) => each.state,
    phone: 'beside',
  },
  {
    name: 'Severity',
    width: 1,
    cell: (each) => <Text style={text.small}>{each.labels.severity}</Text>,
    by: (each) => each.labels.severity ?? '',
  },
  { name: 'Of', width: 1, cell: (each) => <Text style={text.small}>{each.group}</Text>, by: (each) => each.group },
  {
    name: 'Says',
    width: 4,
    cell: (each) => <Text style={text.small}>{ruleTold(each)}</Text>,
    phone: 'whole',
  },
];

function Rules() {
  const told = useAsked('rules', readRules, LOOK_MS);
  return (
    <Panel title="Rules" note="the platform's, and one's own" flush={Boolean(told.value)}>
      {told.error ? <Failed error={told.error} /> : null}
      {!told.value && !told.error && <Text style={text.soft}>Reading…</Text>}
      {told.value && (
        <DataTable label="Rules" columns={RULES} rows={told.value} keyOf={(each) => `${each.group}/${each.name}`} />
      )}
    </Panel>
  );
}
