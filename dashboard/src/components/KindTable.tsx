import { useMemo } from 'react';
import { Text } from 'react-native';

import { useTable } from '../hooks/useTable';
import { text } from '../styles/text';
import { healthOfWord } from '../utils/health';
import { pageOf } from '../utils/routes';
import { keyOf, type Kind, type Resource } from '../utils/resources';
import { cellText, type Table } from '../utils/tables';
import { Age } from './Age';
import { DataTable, type Column } from './DataTable';
import { StatusMark } from './StatusMark';
import { TextLink } from './TextLink';

const NAMES = new Set(['Name']);
const NONE: readonly Column<Resource>[] = [];

/** Any kind as a table: the server's columns, the live rows. */
export function KindTable({
  kind,
  rows,
  extra = NONE,
  question,
}: {
  kind: Kind;
  rows: readonly Resource[];
  extra?: readonly Column<Resource>[];
  question: string;
}) {
  const table = useTable(kind);
  const columns = useMemo(() => [...columnsOf(kind, table), ...extra], [kind, table, extra]);
  return <DataTable label={kind.plural} columns={columns} rows={rows} keyOf={keyOf} question={question} main />;
}

function columnsOf(kind: Kind, table: Table | null): Column<Resource>[] {
  const cells = new Map((table?.rows ?? []).map((row) => [keyOf(row.object), row.cells]));
  const shown = (table?.columnDefinitions ?? [])
    .map((definition, index) => ({ definition, index }))
    .filter(({ definition }) => definition.priority === 0 && !NAMES.has(definition.name) && definition.name !== 'Age');
  const at = (resource: Resource, index: number) => cellText(cells.get(keyOf(resource))?.[index]);
  return [
    {
      name: 'Name',
      width: 1.4,
      phone: 'name',
      by: (each) => each.metadata.name,
      cell: (each) => <TextLink to={pageOf(kind, each)}>{each.metadata.name}</TextLink>,
    },
    ...(kind.namespaced
      ? [
          {
            name: 'Namespace',
            width: 0.8,
            phone: 'none' as const,
            by: (each: Resource) => each.metadata.namespace ?? '',
            cell: (each: Resource) => <Text style={text.faint}>{each.metadata.namespace}</Text>,
          },
        ]
      : []),
    ...shown.map(({ definition, index }) => ({
      name: definition.name,
      width: definition.name === 'Message' ? 2.2 : 1,
      by: (each: Resource) => at(each, index),
      cell: (each: Resource) => <Cell value={at(each, index)} />,
    })),
    {
      name: 'Age',
      width: 60,
      fixed: true,
      phone: 'none',
      by: (each) => each.metadata.creationTimestamp ?? '',
      cell: (each) => <Age of={each.metadata.creationTimestamp} />,
    },
  ];
}

/** A word that names a state gets its sign. */
function Cell({ value }: { value: string }) {
  const health = healthOfWord(value);
  if (health !== 'unknown') return <StatusMark health={health} word={value} />;
  return (
    <Text style={[text.small, { overflowWrap: 'anywhere' }]} numberOfLines={3}>
      {value}
    </Text>
  );
}
