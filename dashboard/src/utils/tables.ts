/** A kind's own columns, as the server draws them (Table, meta.k8s.io/v1): nothing about a kind is known here. */
import { ask } from './api';
import { plainText } from './plainText';
import { collection, type Kind, type Meta } from './resources';

export interface Table {
  columnDefinitions: { name: string; type: string; priority: number; description: string }[];
  rows: { cells: unknown[]; object: { metadata: Meta } }[];
}

/** Raises ApiError. */
export function readTable(kind: Kind, signal: AbortSignal): Promise<Table> {
  return ask<Table>(collection(kind), { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io', signal });
}

/** How a cell reads: times short, nothing as a dash. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined || value === '' || value === '<none>' || value === '<unknown>') return '–';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  const text = plainText(value);
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) ? new Date(text).toLocaleString() : text;
}
