import { useMemo } from 'react';
import { Text, View } from 'react-native';

import { CopyAs } from '../components/CopyAs';
import { DataTable, type Column } from '../components/DataTable';
import { Empty, Failed } from '../components/Empty';
import { Choice, Search } from '../components/Field';
import { Loading } from '../components/Loading';
import { Panel } from '../components/Panel';
import { ScreenHead } from '../components/ScreenHead';
import { StatusMark } from '../components/StatusMark';
import { TextLink } from '../components/TextLink';
import { useAudit } from '../hooks/useAudit';
import { useQuery, useQueryChoice } from '../hooks/useQuery';
import { layout } from '../styles/layout';
import { text } from '../styles/text';
import { isRefused, matching, toldOf, type AuditLine } from '../utils/audit';
import { curl } from '../utils/copyas';
import { momentTold } from '../utils/time';

const FILTERS = [
  { value: 'people', name: 'People' },
  { value: 'all', name: 'All' },
  { value: 'refused', name: 'Refused' },
] as const;
const SHOWN = FILTERS.map(({ value }) => value);
const COPIES = { kubectl: "kubectl get --raw '/audit?tail=200'", curl: curl('/audit?tail=200') };

/** Who changed what, when, from where, and how it ended. */
export function Audit() {
  const { lines, state, error } = useAudit();
  const [wanted, setWanted] = useQuery('q');
  const [filter, setFilter] = useQueryChoice('show', SHOWN);
  const shown = useMemo(() => matching(lines, wanted, filter), [lines, wanted, filter]);
  if (state === 'loading') return <Loading what="the audit log" />;
  if (state === 'refused') return <Failed error={error} />;
  return (
    <>
      <ScreenHead
        title="Audit log"
        about="Every change anybody asked for, every login, every read of a secret and call of AWS. Other reads are not logged."
      >
        <CopyAs copies={COPIES} />
      </ScreenHead>
      <View style={[layout.between, { flexWrap: 'wrap' }]}>
        <Search value={wanted} onChange={setWanted} what="by name, path, code, action" />
        <Choice label="Which" options={FILTERS} chosen={filter} onChoose={setFilter} />
      </View>
      <Panel flush>
        {shown.length ? (
          <DataTable
            label="Audit log"
            columns={COLUMNS}
            rows={shown}
            keyOf={idOf}
            question={`${wanted} ${filter}`}
            main
          />
        ) : (
          <Empty
            title={lines.length ? 'No line matches' : 'Nothing was changed yet'}
            next={lines.length ? 'Search for something else, or show all.' : 'The first change appears here by itself.'}
          />
        )}
      </Panel>
      <Text style={text.faint}>Older lines are in logs/audit.log on the conductor’s machine.</Text>
    </>
  );
}

function idOf(line: AuditLine): string {
  return line.requestId;
}

const COLUMNS: Column<AuditLine>[] = [
  {
    name: 'When',
    width: 132,
    fixed: true,
    phone: 'beside',
    cell: (each) => (
      <Text style={[text.small, { fontVariant: ['tabular-nums'] }]}>{momentTold(each.time, Date.now())}</Text>
    ),
  },
  { name: 'Who', width: 1, phone: 'name', cell: (each) => <Who line={each} /> },
  { name: 'What', width: 2.4, phone: 'whole', cell: (each) => <What line={each} /> },
  { name: 'Result', width: 130, fixed: true, cell: (each) => <Result line={each} /> },
  {
    name: 'From',
    width: 1,
    cell: (each) => (
      <Text style={text.faint} numberOfLines={1}>
        {each.from}
      </Text>
    ),
  },
];

function Who({ line }: { line: AuditLine }) {
  return (
    <View style={layout.tight}>
      <Text style={text.strong} numberOfLines={1}>
        {line.user || 'somebody unknown'}
      </Text>
      {line.by ? <Text style={text.faint}>asked by {line.by}</Text> : null}
    </View>
  );
}

function What({ line }: { line: AuditLine }) {
  const { verb, what, to } = toldOf(line);
  return (
    <View style={[layout.row, { minWidth: 0 }]}>
      <Text style={text.small}>{verb}</Text>
      {to ? (
        <TextLink to={to} strong={false}>
          {what}
        </TextLink>
      ) : (
        <Text style={[text.small, layout.shrink]} numberOfLines={1}>
          {what}
        </Text>
      )}
    </View>
  );
}

function Result({ line }: { line: AuditLine }) {
  const word = isRefused(line) ? `Refused · ${line.code}` : `Done · ${line.code}`;
  return <StatusMark health={isRefused(line) ? (line.code >= 500 ? 'bad' : 'warn') : 'well'} word={word} />;
}
