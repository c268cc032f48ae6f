import { memo, useState, type ReactNode } from 'react';
import { Pressable, Text, View } from 'react-native';

import { useCalmRows } from '../hooks/useCalmRows';
import { useInSteps } from '../hooks/useInSteps';
import { useLayout } from '../hooks/useLayout';
import { useQuery } from '../hooks/useQuery';
import { table } from '../styles/table';
import { text } from '../styles/text';
import { color } from '../styles/tokens';
import type { Placed } from '../utils/calm';
import { Button } from './Button';
import { Icon } from './Icon';
import { layout } from '../styles/layout';

export interface Column<T> {
  name: string;
  /** Share of the width; or px when `fixed`. */
  width: number;
  fixed?: boolean;
  end?: boolean;
  cell: (row: T) => ReactNode;
  /** What sorting compares; without it the column cannot be sorted by. */
  by?: (row: T) => string | number;
  /** Where it goes on a phone: beside the name, as a line, over the whole width, or nowhere. */
  phone?: 'name' | 'beside' | 'line' | 'whole' | 'none';
}

/** Drawn at once: more rows than anybody reads would only make the page slow. */
const PAGE = 100;

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  /** What somebody searches and filters by: when that changes, rows may change places at once. */
  question?: string;
  /** The one table of its screen: how it is sorted belongs into the address. */
  main?: boolean;
}

/**
 * Rows and columns; on a phone every row becomes a card. Columns are declared once by whoever uses it. Rows do not
 * change places while somebody points at them.
 */
export function DataTable<T>({ label, columns, rows, keyOf, question = '', main = false }: Props<T>) {
  const { phone } = useLayout();
  const [sort, setSort] = useSort(main);
  const [most, setMost] = useState(PAGE);
  const asked = `${question} ${sort?.down ? '-' : ''}${sort?.name ?? ''} ${most}`;
  const { shown, frame } = useCalmRows(inOrder(rows, columns, sort).slice(0, most), keyOf, asked);
  const drawn = useInSteps(shown, keyOfPlaced);
  const more = rows.length - Math.min(most, rows.length);
  return (
    <View ref={frame}>
      {phone ? (
        <View role="list" aria-label={label}>
          {drawn.map((each) => (
            <Card key={each.key} row={each.row} columns={columns} gone={each.goneAt > 0} />
          ))}
        </View>
      ) : (
        <Grid label={label} columns={columns} rows={drawn} sort={sort} onSort={setSort} />
      )}
      {more > 0 && <Button look="bare" label={`Show more (${more})`} onPress={() => setMost(most + PAGE)} />}
    </View>
  );
}

function keyOfPlaced(placed: Placed<unknown>): string {
  return placed.key;
}

interface Sort {
  name: string;
  down: boolean;
}

/** `-Age` in the address means by age, downwards. */
function useSort(inAddress: boolean): [Sort | null, (sort: Sort | null) => void] {
  const [address, setAddress] = useQuery('sort');
  const [own, setOwn] = useState('');
  const text = inAddress ? address : own;
  const set = inAddress ? setAddress : setOwn;
  const sort = text ? { name: text.replace(/^-/, ''), down: text.startsWith('-') } : null;
  return [sort, (now) => set(now ? (now.down ? '-' : '') + now.name : '')];
}

interface GridProps<T> extends Omit<HeadProps<T>, 'column'> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly Placed<T>[];
}

function Grid<T>({ label, columns, rows, sort, onSort }: GridProps<T>) {
  return (
    <View role="table" aria-label={label}>
      <View role="row" style={table.head}>
        {columns.map((column) => (
          <Head key={column.name} column={column} sort={sort} onSort={onSort} />
        ))}
      </View>
      {rows.map((each) => (
        <Row key={each.key} row={each.row} columns={columns} gone={each.goneAt > 0} />
      ))}
    </View>
  );
}

function inOrder<T>(rows: readonly T[], columns: readonly Column<T>[], sort: Sort | null): readonly T[] {
  const by = columns.find((column) => column.name === sort?.name)?.by;
  if (!by || !sort) return rows;
  const sign = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => (by(a) < by(b) ? -sign : by(a) > by(b) ? sign : 0));
}

function shape<T>(column: Column<T>) {
  return column.fixed ? { width: column.width, flexShrink: 0 } : { flex: column.width };
}

interface HeadProps<T> {
  column: Column<T>;
  sort: Sort | null;
  onSort: (sort: Sort | null) => void;
}

function Head<T>({ column, sort, onSort }: HeadProps<T>) {
  const mine = sort?.name === column.name;
  const order = mine ? (sort.down ? 'descending' : 'ascending') : undefined;
  return (
    <View
      role="columnheader"
      aria-label={column.name ? undefined : 'Actions'}
      aria-sort={order}
      style={[table.cell, shape(column), column.end && table.end]}
    >
      {column.by ? (
        <Pressable
          role="button"
          style={table.sort}
          onPress={() => onSort(mine && sort.down ? null : { name: column.name, down: mine })}
        >
          <Text style={[text.label, mine && { color: color.goldBright }]}>{column.name}</Text>
          {mine && <Icon name={sort.down ? 'down' : 'up'} size={10} tint={color.goldBright} />}
        </Pressable>
      ) : (
        <Text style={text.label}>{column.name}</Text>
      )}
    </View>
  );
}

/** Drawn again only when its own resource changed, or the columns did. */
const Row = memo(PlainRow) as typeof PlainRow;
const Card = memo(PlainCard) as typeof PlainCard;

interface RowProps<T> {
  row: T;
  columns: readonly Column<T>[];
  gone: boolean;
}

function PlainRow<T>({ row, columns, gone }: RowProps<T>) {
  const [hovered, setHovered] = useState(false);
  return (
    <View
      role="row"
      style={[table.row, hovered && table.rowHover, gone && table.gone]}
      onMouseEnter={() => setHovered(true)}
      onMouseLeave={() => setHovered(false)}
    >
      {columns.map((column) => (
        <View key={column.name} role="cell" style={[table.cell, shape(column), column.end && table.end]}>
          {column.cell(row)}
        </View>
      ))}
    </View>
  );
}

function PlainCard<T>({ row, columns, gone }: RowProps<T>) {
  const at = (place: string) => columns.filter((column) => (column.phone ?? 'line') === place);
  return (
    <View role="listitem" style={[table.card, gone && table.gone]}>
      <View style={table.cardHead}>
        <View style={layout.shrink}>
          {at('name').map((column) => (
            <View key={column.name}>{column.cell(row)}</View>
          ))}
        </View>
        {at('beside').map((column) => (
          <View key={column.name}>{column.cell(row)}</View>
        ))}
      </View>
      {at('whole').map((column) => (
        <View key={column.name}>{column.cell(row)}</View>
      ))}
      {at('line').map((column) => (
        <View key={column.name} style={table.cardLine}>
          {column.name ? <Text style={text.faint}>{column.name}</Text> : null}
          <View style={[{ flexShrink: 1, minWidth: 0 }, !column.name && { marginLeft: 'auto' }]}>
            {column.cell(row)}
          </View>
        </View>
      ))}
    </View>
  );
}
