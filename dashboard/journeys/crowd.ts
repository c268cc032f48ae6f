/** Very many services that never rest, for the page to bear. */
import type { Page, WebSocketRoute } from 'playwright-core';

export const MANY = 1000;
export const PER_SECOND = 50;

export interface Sent {
  changes: number;
  seconds: number;
}

/** A thousand services and their watch, told to the page in the server's stead; everything else is the real cloud. */
export class Crowd {
  private readonly page: Page;
  private readonly watches = new Set<WebSocketRoute>();
  private revision = 10_000;

  constructor(page: Page) {
    this.page = page;
  }

  /** Home has heard of them all afterwards. */
  async settleIn(): Promise<void> {
    const items = Array.from({ length: MANY }, (_, index) => this.service(index));
    const list = { kind: 'ServiceList', apiVersion: 'aerekos.cloud/v1', metadata: { resourceVersion: '10000' }, items };
    await this.page.route(/\/v1\/services$/, (route) => route.fulfill({ json: list }));
    await this.page.routeWebSocket(/\/v1\/services\?watch/, (watch) => {
      this.watches.add(watch);
      watch.onClose(() => this.watches.delete(watch));
    });
    await this.page.reload();
    await this.page.getByText(new RegExp(`of ${MANY} services`)).waitFor();
  }

  /** Changes go out while `work` goes on; how many there were. */
  async during(work: () => Promise<void>): Promise<Sent> {
    const began = performance.now();
    let changes = 0;
    const timer = setInterval(() => {
      // As many as are due by now: a timer that comes late must not make it fewer.
      for (; changes < ((performance.now() - began) / 1000) * PER_SECOND; changes += 1) {
        this.tell(this.service((changes * 37) % MANY, changes));
      }
    }, 1000 / PER_SECOND);
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
    return { changes, seconds: (performance.now() - began) / 1000 };
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
