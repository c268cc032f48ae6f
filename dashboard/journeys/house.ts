/** The one cloud all journeys share, and how somebody walks through it. Every journey leaves it as it was. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

import type { BrowserContextOptions, Page } from 'playwright-core';

import { arrive, chromiumPath, logIn, open, startBrowser, type Opened } from './browser.ts';
import { Cloud, PASSWORD } from './cloud.ts';

export const skip = chromiumPath() ? false : 'no Chromium here (Debian: apt install chromium)';
/** For whatever will come: how fast it comes is measured elsewhere (speed.ts). */
const PATIENCE_MS = 60_000;
export const ADMIN = { name: 'admin', password: PASSWORD };
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let running: Cloud | null = null;
/**
 * Sessions of the admin that no window uses now. A refresh token works once, and journeys run side by side: two windows
 * with one session would end it for each other.
 */
const idle: BrowserContextOptions['storageState'][] = [];

export async function startCloud(): Promise<void> {
  const [started] = await Promise.all([Cloud.start(process.env.AEREKOS ?? 'aerekos'), startBrowser()]);
  running = started;
}

export async function endCloud(): Promise<void> {
  await running?.end();
}

export function cloud(): Cloud {
  return running!;
}

export interface Way extends BrowserContextOptions {
  width?: number;
  height?: number;
  who?: { name: string; password: string };
}

/** A window of its own, logged in; a page that complained fails the journey. */
export async function journey(walk: (page: Page, opened: Opened) => Promise<void>, way: Way = {}): Promise<void> {
  const { width = 1440, height = 900, who, ...more } = way;
  // Still, unless a walk is about what moves: an idle Home that is drawn without a GPU takes a fifth of a core and more.
  const state = who ? undefined : idle.pop();
  const opened = await open(width, height, { storageState: state, ...STILL, ...more });
  opened.page.setDefaultTimeout(PATIENCE_MS);
  try {
    await enter(opened, who ?? ADMIN, state !== undefined);
    await walk(opened.page, opened);
    assert.deepEqual(opened.complaints, []);
  } finally {
    // Who comes next goes on with what this window was given last.
    if (!who)
      await opened.context.storageState().then(
        (last) => idle.push(last),
        () => undefined,
      );
    await opened.close();
  }
}

/** Who has a session comes back with its cookie; checking a password takes the server its time. */
async function enter({ page }: Opened, who: { name: string; password: string }, returning: boolean): Promise<void> {
  if (returning) await arrive(page, cloud().url, /^(verdict|username)$/);
  // A journey may have signed out, or ended its sessions.
  if (!returning || (await page.getByTestId('username').isVisible()))
    await logIn(page, cloud().url, who.name, who.password);
}

/** For axe: what fades in has no contrast yet. */
export const STILL: Way = { reducedMotion: 'reduce' };

/** Everything axe knows but what it calls minor. `part`: a selector; nothing that moves may be in it. */
/** What axe has against the page. Asked until it says the same twice: what fades in has no contrast yet. */
export async function seriousFaults(page: Page, part = 'html'): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  let faults = await faultsNow(page, part);
  for (let before: string[] = []; faults.length > 0 && String(faults) !== String(before);) {
    before = faults;
    faults = await faultsNow(page, part);
  }
  return faults;
}

function faultsNow(page: Page, part: string): Promise<string[]> {
  return page.evaluate(async (within) => {
    const found = await (window as any).axe.run(within);
    return found.violations
      .filter((each: any) => each.impact !== 'minor')
      .map(
        (each: any) =>
          `${each.id}: ${each.nodes
            .slice(0, 3)
            .map((node: any) => node.html.slice(0, 160))
            .join(' | ')}`,
      );
  }, part);
}

export async function settled(page: Page): Promise<void> {
  await page.getByText('Loading memory').first().waitFor({ state: 'detached' });
  await page.getByRole('main').getByRole('heading').first().waitFor();
}
