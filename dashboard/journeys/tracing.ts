/** What the browser's own trace says of the page's main thread. */
import type { BrowserContext, Page } from 'playwright-core';

export interface Longest {
  /** CPU time of the longest task: what we caused ourselves. */
  cpuMs: number;
  wallMs: number;
  /** The share of the time the main thread worked. */
  busy: number;
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  tdur?: number;
  args: { name?: string };
}

/** The longest task of the main thread while `work` goes on. */
export async function longestTask(context: BrowserContext, page: Page, work: () => Promise<void>): Promise<Longest> {
  const browser = context.browser()!;
  const categories = ['disabled-by-default-devtools.timeline', 'devtools.timeline', 'toplevel', '__metadata'];
  await browser.startTracing(page, { categories });
  await work();
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  return measured(trace.traceEvents);
}

function measured(events: readonly TraceEvent[]): Longest {
  const threads = new Set(
    events
      .filter((each) => each.ph === 'M' && each.args.name === 'CrRendererMain')
      .map((each) => `${each.pid}/${each.tid}`),
  );
  const tasks = events.filter(
    (each) => each.name === 'RunTask' && each.ph === 'X' && threads.has(`${each.pid}/${each.tid}`),
  );
  if (tasks.length === 0) throw new Error('the trace tells of no task: this Chromium names them otherwise');
  const most = (of: (each: TraceEvent) => number) => tasks.reduce((top, each) => Math.max(top, of(each)), 0) / 1000;
  const began = Math.min(...tasks.map((each) => each.ts));
  const ended = Math.max(...tasks.map((each) => each.ts));
  const worked = tasks.reduce((sum, each) => sum + (each.tdur ?? each.dur ?? 0), 0);
  return {
    cpuMs: most((each) => each.tdur ?? each.dur ?? 0),
    wallMs: most((each) => each.dur ?? 0),
    busy: worked / (ended - began),
  };
}
