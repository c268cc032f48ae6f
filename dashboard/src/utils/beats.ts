/** The workers' heartbeats, as they come: `GET /agents/leases?watch=true`. Live numbers; nothing is stored. */
import { Observable } from './observable';
import { whileUsed } from './shared';
import { followStream } from './sockets';

export interface Beat {
  worker: string;
  ageSeconds: number;
  usage: { cpu: number; memory: number; disk: number; networkReceived: number; networkSent: number };
  services: Record<string, { cpu: number; memory: number }>;
  /** When this page heard it, in ms since 1970. */
  heardAt: number;
  /** The last minute of CPU use in cores, oldest first. */
  cpuTrail: number[];
  /** The same for each copy that runs there, with its memory in bytes. */
  trails: Record<string, { cpu: number[]; memory: number[] }>;
}

type Told = Omit<Beat, 'heardAt' | 'cpuTrail' | 'trails'>;

export const TRAIL = 60;
export const beats = new Observable<ReadonlyMap<string, Beat>>(new Map());

/** Follows the beats until the returned function is called. */
export const followBeats = whileUsed((signal) => {
  void followStream(() => '/agents/leases?watch=true', { lines: hear, closed: () => undefined }, signal);
});

/** The server gathers the beats of a second: one drawing for all of them. */
function hear(lines: string[]): void {
  const next = new Map(beats.get());
  for (const line of lines) {
    const { type, object } = JSON.parse(line) as { type: string; object: Told };
    if (type !== 'ERROR') next.set(object.worker, grown(next.get(object.worker), object));
  }
  beats.set(next);
}

export function longer(trail: readonly number[] | undefined, value: number): number[] {
  return [...(trail ?? []), value].slice(-TRAIL);
}

function grown(before: Beat | undefined, told: Told): Beat {
  const trails = Object.fromEntries(
    Object.entries(told.services ?? {}).map(([name, use]) => {
      const old = before?.trails[name];
      return [name, { cpu: longer(old?.cpu, use.cpu), memory: longer(old?.memory, use.memory) }];
    }),
  );
  const heardAt = Date.now() - told.ageSeconds * 1000;
  return { ...told, heardAt, cpuTrail: longer(before?.cpuTrail, told.usage.cpu), trails };
}

/** What the copies of one service use together now, and over the last minute. */
export function usedBy(copies: readonly string[], all: ReadonlyMap<string, Beat>): { cpu: number[]; memory: number[] } {
  const found = [...all.values()].flatMap((beat) => copies.map((name) => beat.trails[name]).filter((each) => !!each));
  return { cpu: summed(found.map((each) => each.cpu)), memory: summed(found.map((each) => each.memory)) };
}

/** Added up from their ends: one that began later counts from then on. */
export function summed(trails: readonly (readonly number[])[]): number[] {
  const length = Math.max(0, ...trails.map((each) => each.length));
  return Array.from({ length }, (_, index) =>
    trails.reduce((sum, each) => sum + (each[each.length - length + index] ?? 0), 0),
  );
}
