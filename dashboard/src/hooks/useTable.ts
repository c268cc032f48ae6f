import { useEffect, useState } from 'react';

import type { Kind } from '../utils/resources';
import { readTable, type Table } from '../utils/tables';
import { useResources } from './useResources';

const GATHER_MS = 250;

/** The server's own table of a kind, read again when the watch says that something changed. */
export function useTable(kind: Kind): Table | null {
  const { items, state } = useResources(kind);
  const [table, setTable] = useState<Table | null>(null);
  useEffect(() => {
    if (state !== 'live') return undefined;
    const stopping = new AbortController();
    const read = () => readTable(kind, stopping.signal).then(setTable, () => undefined);
    const timer = setTimeout(read, table ? GATHER_MS : 0);
    return () => {
      clearTimeout(timer);
      stopping.abort();
    };
  }, [kind, items, state]);
  return table;
}
