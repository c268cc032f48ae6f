/**
 * How soon the page can be used, and whether it stays so when much changes: one line of JSON. Times are ms.
 *
 *     node journeys/speed.ts
 *
 * AEREKOS: path of the `aerekos` command. Without a Chromium there is only `skip`, the reason. `make bench` shows the
 * times beside their limits.
 */
import type { Page } from 'playwright-core';

import { closeBrowser, open, visit } from './browser.ts';
import { Crowd, Machines } from './crowd.ts';
import { cloud, endCloud, journey, settled, skip, startCloud } from './house.ts';
import { longestTask } from './tracing.ts';

const TRIES = 3;

console.log(JSON.stringify(skip ? { skip } : await measured()));

async function measured(): Promise<object> {
  try {
    await startCloud();
    return { login: await logins(), home: await homes(), crowd: await crowded(), machines: await beating() };
  } finally {
    await closeBrowser();
    await endCloud();
  }
}

/** From the address until the login can be typed into; nothing is known, every file is fetched. */
async function logins(): Promise<number[]> {
  const times: number[] = [];
  for (let time = 0; time < TRIES; time += 1) {
    const { page, close } = await open(1440, 900);
    await noting(page, 'enter');
    await page.goto(cloud().url);
    times.push(await thereAt(page));
    await close();
  }
  return times;
}

/** From a reload until home says how everything is. */
async function homes(): Promise<number[]> {
  const times: number[] = [];
  await journey(async (page) => {
    await noting(page, 'verdict');
    for (let time = 0; time < TRIES; time += 1) {
      await page.reload();
      times.push(await thereAt(page));
    }
  });
  return times;
}

/** The longest task while somebody looks around among very many services that never rest. */
async function crowded(): Promise<object> {
  let told = {};
  await journey(async (page, { context }) => {
    const crowd = new Crowd(page);
    await crowd.settleIn();
    const task = await longestTask(context, page, async () => {
      const { changes, seconds } = await crowd.during(() => lookAround(page));
      told = { perSecond: changes / seconds };
    });
    told = { ...told, ...task };
  });
  return told;
}

/** The longest task while the list of very many machines is looked at, which beat every second. */
async function beating(): Promise<object> {
  let told = {};
  await journey(async (page, { context }) => {
    const machines = new Machines(page);
    await machines.settleIn();
    await machines.during(async () => {
      await visit(page, '/ui/workers');
      await settled(page);
      await page.waitForTimeout(1500);
      told = await longestTask(context, page, () => page.waitForTimeout(5000));
    });
  });
  return told;
}

async function lookAround(page: Page): Promise<void> {
  await page.waitForTimeout(2000);
  await visit(page, '/ui/services');
  await settled(page);
  await page.waitForTimeout(1500);
  await page.getByTestId('search').pressSequentially('service-07', { delay: 40 });
  await page.getByText('service-0700').waitFor();
  await page.getByTestId('search').fill('');
  await page.waitForTimeout(500);
}

/** Notes when an element was first there, in ms since the page was asked for. */
async function noting(page: Page, testId: string): Promise<void> {
  await page.addInitScript((id) => {
    const look = () => {
      if (!document.querySelector(`[data-testid="${id}"]`)) return;
      observer.disconnect();
      requestAnimationFrame(() => Object.assign(window, { thereAt: performance.now() }));
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { subtree: true, childList: true });
  }, testId);
}

async function thereAt(page: Page): Promise<number> {
  await page.waitForFunction(() => 'thereAt' in window);
  return page.evaluate(() => (window as unknown as { thereAt: number }).thereAt);
}
