import { useEffect, useMemo, useState } from 'react';

import { paced } from '../utils/paced';
import type { Kind } from '../utils/resources';
import { readTable, type Table } from '../utils/tables';
import { useResources } from './useResources';

const REST_MS = 250;

/** The server's own table of a kind, read again when the watch says that something changed. */
export function useTable(kind: Kind): Table | null {
  const { items, state } = useResources(kind);
  const [table, setTable] = useState<Table | null>(null);
  const reading = useMemo(
    () => paced((signal) => readTable(kind, signal).then(setTable, () => undefined), REST_MS),
    [kind],
  );
  useEffect(() => reading.stop, [reading]);
  useEffect(() => {
    if (state === 'live') reading.ask();
  }, [reading, items, state]);
  return table;
}
