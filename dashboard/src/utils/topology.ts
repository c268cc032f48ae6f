/** Who talks to whom: the gateway, the services people reach through it, and what those need. Pure. */
import { serviceHealth, type Health } from './health';
import type { CatalogEntry } from './catalog';
import type { Service } from './resources';

export interface Node {
  id: string;
  label: string;
  health: Health;
  ready: string;
  column: number;
  row: number;
}

export interface Edge {
  from: string;
  to: string;
  alive: boolean;
}

/** Two who speak with each other though neither says that it needs the other. */
export interface Talk {
  from: string;
  to: string;
}

export interface Graph {
  nodes: Node[];
  edges: Edge[];
  columns: number;
  rows: number;
  /** Services left out because there are too many to read. */
  hidden: number;
}

export const GATEWAY = 'gateway';
const MOST_ROWS = 11;

export function needsOf(service: Service, catalog: readonly CatalogEntry[]): string[] {
  const entry = catalog.find((each) => each.managed === service.spec.managed);
  return [...new Set([...(entry?.needs ?? []), ...(service.spec.needs ?? [])])];
}

/** `talks`: who asks whom, as seen; drawn also where nobody declared it. `most`: how many services are drawn; those in trouble and those others need come first. */
export function graphOf(
  services: readonly Service[],
  catalog: readonly CatalogEntry[],
  most: number,
  talks: readonly Talk[] = [],
): Graph {
  const wanted = services.filter((each) => serviceHealth(each) !== 'idle');
  const names = new Set(wanted.map((each) => each.metadata.name));
  const needs = new Map(
    wanted.map((each) => [each.metadata.name, needsOf(each, catalog).filter((need) => names.has(need))]),
  );
  const needed = new Set([...needs.values()].flat());
  const shown = [...wanted].sort((a, b) => worth(b, needed) - worth(a, needed) || byName(a, b)).slice(0, most);
  const kept = new Set(shown.map((each) => each.metadata.name));
  const depth = depths(shown, needs);
  const nodes = arranged(shown.sort(byName), depth);
  const health = new Map(shown.map((each) => [each.metadata.name, serviceHealth(each)]));
  const edges = withTalks(edgesOf(shown, needs, kept, health), talks, kept);
  const columns = Math.max(...nodes.map((each) => each.column)) + 1;
  const rows = Math.max(...nodes.map((each) => each.row)) + 1;
  nodes[0]!.row = (rows - 1) / 2;
  return { nodes, edges, columns, rows, hidden: wanted.length - shown.length };
}

function worth(service: Service, needed: Set<string>): number {
  const trouble = { bad: 8, warn: 6, unknown: 5, busy: 4, well: 0, idle: 0 }[serviceHealth(service)];
  return trouble + (needed.has(service.metadata.name) ? 3 : 0) + (service.spec.needs?.length ? 1 : 0);
}

function byName(a: Service, b: Service): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

/** A service stands one step behind everything that needs it; circles stop at five. */
function depths(services: readonly Service[], needs: Map<string, string[]>): Map<string, number> {
  const depth = new Map(services.map((each) => [each.metadata.name, 1]));
  for (let pass = 0; pass < 4; pass += 1) {
    for (const [name, wants] of needs) {
      for (const need of wants)
        depth.set(need, Math.min(5, Math.max(depth.get(need) ?? 1, (depth.get(name) ?? 1) + 1)));
    }
  }
  return depth;
}

function arranged(services: readonly Service[], depth: Map<string, number>): Node[] {
  const nodes: Node[] = [{ id: GATEWAY, label: 'Gateway', health: 'well', ready: '', column: 0, row: 0 }];
  let column = 0;
  for (let level = 1; level <= 5; level += 1) {
    const here = services.filter((each) => depth.get(each.metadata.name) === level);
    if (here.length === 0) continue;
    const width = Math.ceil(here.length / MOST_ROWS);
    const rows = Math.ceil(here.length / width);
    here.forEach((service, index) => {
      const place = { column: column + 1 + Math.floor(index / rows), row: index % rows };
      nodes.push({ ...place, ...face(service) });
    });
    column += width;
  }
  return centred(nodes);
}

function face(service: Service): Omit<Node, 'column' | 'row'> {
  const name = service.metadata.name;
  return { id: name, label: name, health: serviceHealth(service), ready: service.status?.ready ?? '' };
}

function centred(nodes: Node[]): Node[] {
  const tallest = Math.max(...nodes.map((each) => each.row));
  const last = new Map<number, number>();
  for (const each of nodes) last.set(each.column, Math.max(last.get(each.column) ?? 0, each.row));
  return nodes.map((each) => ({ ...each, row: each.row + (tallest - (last.get(each.column) ?? 0)) / 2 }));
}

function edgesOf(
  services: readonly Service[],
  needs: Map<string, string[]>,
  kept: Set<string>,
  health: Map<string, Health>,
): Edge[] {
  const alive = (name: string) => health.get(name) === 'well' || health.get(name) === 'warn';
  const needed = new Set([...needs.values()].flat());
  return services.flatMap(({ metadata: { name } }) => [
    ...(needed.has(name) ? [] : [{ from: GATEWAY, to: name, alive: alive(name) }]),
    ...(needs.get(name) ?? [])
      .filter((need) => kept.has(need))
      .map((need) => ({ from: name, to: need, alive: alive(name) && alive(need) })),
  ]);
}

/** People and their tools ask through the gateway, whose name in the counts is empty. */
function withTalks(edges: Edge[], talks: readonly Talk[], kept: Set<string>): Edge[] {
  const drawn = new Set(edges.map((each) => `${each.from}>${each.to}`));
  const more = talks
    .map(({ from, to }) => ({ from: from || GATEWAY, to, alive: true }))
    .filter(({ from, to }) => kept.has(to) && (from === GATEWAY || kept.has(from)) && !drawn.has(`${from}>${to}`));
  return [...edges, ...more];
}
