/** Very many services that never rest, and very many machines, for the page to bear. */
import type { Page, WebSocketRoute } from 'playwright-core';

export const MANY = 1000;
export const PER_SECOND = 50;

export interface Sent {
  changes: number;
  seconds: number;
}

/** That list of resources, in the server's stead. */
async function listed(page: Page, url: RegExp, kind: string, items: object[]): Promise<void> {
  const list = { kind, apiVersion: 'aerekos.cloud/v1', metadata: { resourceVersion: '10000' }, items };
  await page.route(url, (route) => route.fulfill({ json: list }));
}

/** Who follows that stream, in the server's stead; it changes as they come and go. */
async function listening(page: Page, url: RegExp): Promise<ReadonlySet<WebSocketRoute>> {
  const followers = new Set<WebSocketRoute>();
  await page.routeWebSocket(url, (follower) => {
    followers.add(follower);
    follower.onClose(() => followers.delete(follower));
  });
  return followers;
}

/** Tells one after the other, so many a second, while `work` goes on. */
async function sending(perSecond: number, tell: (number: number) => void, work: () => Promise<void>): Promise<Sent> {
  const began = performance.now();
  let changes = 0;
  const timer = setInterval(() => {
    // As many as are due by now: a timer that comes late must not make it fewer.
    for (; changes < ((performance.now() - began) / 1000) * perSecond; changes += 1) tell(changes);
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return { changes, seconds: (performance.now() - began) / 1000 };
}

/** A thousand services and their watch, told to the page in the server's stead; everything else is the real cloud. */
export class Crowd {
  private readonly page: Page;
  private watches: ReadonlySet<WebSocketRoute> = new Set();
  private revision = 10_000;

  constructor(page: Page) {
    this.page = page;
  }

  /** Home has heard of them all afterwards. */
  async settleIn(): Promise<void> {
    const items = Array.from({ length: MANY }, (_, index) => this.service(index));
    await listed(this.page, /\/v1\/services$/, 'ServiceList', items);
    this.watches = await listening(this.page, /\/v1\/services\?watch/);
    await this.page.reload();
    await this.page.getByText(new RegExp(`of ${MANY} services`)).waitFor();
  }

  /** Changes go out while `work` goes on; how many there were. */
  async during(work: () => Promise<void>): Promise<Sent> {
    return sending(PER_SECOND, (number) => this.tell(this.service((number * 37) % MANY, number)), work);
  }

  /** One more change of one of them. */
  change(index: number, phase: string): void {
    this.tell(this.service(index, 1, phase));
  }

  private tell(object: object): void {
    for (const watch of this.watches) watch.send(JSON.stringify({ type: 'MODIFIED', object }));
  }

  private service(index: number, step = 0, phase = step % 3 ? 'Ready' : 'Updating'): object {
    const name = `service-${String(index).padStart(4, '0')}`;
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: phase,
      message: `${step} changes`,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const instance = {
      name: `${name}-0`,
      worker: 'oak',
      address: '10.0.0.1:1',
      ready: true,
      phase: 'Running',
      restarts: 0,
    };
    this.revision += 1;
    return {
      apiVersion: 'aerekos.cloud/v1',
      kind: 'Service',
      metadata: {
        name,
        namespace: 'default',
        uid: name,
        resourceVersion: String(this.revision),
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      spec: { image: 'x:1', replicas: 1 + (step % 5), needs: index % 9 ? [] : ['service-0001'] },
      status: { phase, ready: '1/1', readyReplicas: 1, instances: [instance], conditions: [ready] },
    };
  }
}

/** Machines and their heartbeats, told to the page in the server's stead. */
export class Machines {
  private readonly page: Page;
  private followers: ReadonlySet<WebSocketRoute> = new Set();

  constructor(page: Page) {
    this.page = page;
  }

  /** Home has heard of them all afterwards. */
  async settleIn(): Promise<void> {
    const items = Array.from({ length: MANY }, (_, index) => machine(index));
    await listed(this.page, /\/v1\/workers$/, 'WorkerList', items);
    await listening(this.page, /\/v1\/workers\?watch/);
    this.followers = await listening(this.page, /\/agents\/leases\?watch/);
    await this.page.reload();
    await this.page.getByText(new RegExp(`on ${MANY} workers`)).waitFor();
  }

  /** All beat once a second while `work` goes on, and are told together, as the server does. */
  async during(work: () => Promise<void>): Promise<Sent> {
    return sending(1, (second) => this.beat(second), work);
  }

  private beat(second: number): void {
    const usage = { cpu: second % 8, memory: 2 ** 30, disk: 2 ** 30, networkReceived: 0, networkSent: 0 };
    const lines = Array.from({ length: MANY }, (_, index) => {
      const beat = { worker: machine(index).metadata.name, ageSeconds: 0, usage, services: {} };
      return JSON.stringify({ type: 'MODIFIED', object: beat });
    });
    for (const each of this.followers) each.send(lines.join('\n'));
  }
}

function machine(index: number) {
  const name = `machine-${String(index).padStart(4, '0')}`;
  const since = '2026-01-01T00:00:00Z';
  const metadata = { name, uid: name, resourceVersion: String(1000 + index), creationTimestamp: since };
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'HeartbeatReceived',
    message: 'it beats',
    lastTransitionTime: since,
  };
  const capacity = { cpu: '8', memory: '16Gi', disk: '100Gi' };
  const status = { phase: 'Ready', capacity, conditions: [ready] };
  return { apiVersion: 'aerekos.cloud/v1', kind: 'Worker', metadata, spec: {}, status };
}
