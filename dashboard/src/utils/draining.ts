/** Moving everything off a machine: nothing new goes there, then one instance after the other starts elsewhere. */
import { allOf, setCordoned } from './actions';
import { ask } from './api';
import { inWords } from './errors';
import { SERVICES, type Service, type Worker } from './resources';

export interface Copy {
  name: string;
  namespace: string;
  service: string;
}

export type Move = { copy: Copy; state: 'waiting' | 'moving' | 'moved' | 'stays'; because: string };

const MOVE_MS = 90_000;

export function copiesOn(worker: string, services: readonly Service[]): Copy[] {
  return services.flatMap((service) =>
    (service.status?.instances ?? [])
      .filter((each) => each.worker === worker)
      .map((each) => ({
        name: each.name,
        namespace: service.metadata.namespace ?? 'default',
        service: service.metadata.name,
      })),
  );
}

/** Whether nothing is left. `told` hears every step; `signal` ends it between two. */
export async function drain(worker: Worker, told: (moves: Move[]) => void, signal: AbortSignal): Promise<boolean> {
  const name = worker.metadata.name;
  if (!worker.spec?.unschedulable && !(await setCordoned(worker, true))) return false;
  const services = allOf<Service>(SERVICES);
  let moves: Move[] = copiesOn(name, services.view.get().items).map((copy) => ({
    copy,
    state: 'waiting',
    because: '',
  }));
  const mark = (at: number, state: Move['state'], because = '') => {
    moves = moves.map((each, index) => (index === at ? { ...each, state, because } : each));
    told(moves);
  };
  told(moves);
  for (const [at, { copy }] of moves.entries()) {
    if (signal.aborted) return false;
    mark(at, 'moving');
    try {
      await evict(copy);
      const gone = await untilGone(name, copy, signal);
      mark(at, gone ? 'moved' : 'stays', gone ? '' : 'it did not leave in time');
    } catch (error) {
      mark(at, 'stays', inWords(error).what);
    }
  }
  return moves.every((each) => each.state === 'moved');
}

async function evict({ name, namespace }: Copy): Promise<void> {
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
  await ask(`/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(name)}/eviction`, { method: 'POST', body });
}

/** The watch tells; nothing is asked again. */
function untilGone(worker: string, copy: Copy, signal: AbortSignal): Promise<boolean> {
  const services = allOf<Service>(SERVICES);
  const gone = () =>
    !copiesOn(worker, services.view.get().items).some(
      (each) => each.name === copy.name && each.namespace === copy.namespace,
    );
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      stop();
      resolve(gone());
    };
    const timer = setTimeout(end, MOVE_MS);
    const stop = services.view.subscribe(() => gone() && end());
    signal.addEventListener('abort', end, { once: true });
    if (gone()) end();
  });
}
