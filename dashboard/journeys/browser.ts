/** A real Chromium, headless. */
import { existsSync } from 'node:fs';

import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
  type Request,
} from 'playwright-core';

const KNOWN = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];
export const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Where Chromium is; AEREKOS_CHROMIUM wins. Empty when there is none. */
export function chromiumPath(): string {
  const given = process.env.AEREKOS_CHROMIUM;
  return given ?? KNOWN.find((path) => existsSync(path)) ?? '';
}

export interface Opened {
  page: Page;
  context: BrowserContext;
  /** Messages of the page that say something is wrong. */
  complaints: string[];
  close: () => Promise<void>;
}

let browser: Promise<Browser> | null = null;

export function startBrowser(): Promise<Browser> {
  // Playwright makes a new, empty profile folder for it and removes it at the end.
  return (browser ??= chromium.launch({ executablePath: chromiumPath(), args: FLAGS }));
}

/** A window that shares nothing with the others; all live in one browser, because starting one takes a second. */
export async function open(width: number, height: number, more: BrowserContextOptions = {}): Promise<Opened> {
  const context = await (
    await startBrowser()
  ).newContext({ ignoreHTTPSErrors: true, viewport: { width, height }, ...more });
  const page = await context.newPage();
  return { page, context, complaints: listening(page), close: () => context.close() };
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = null;
}

function listening(page: Page): string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // Refusals and lost connections are part of the journeys.
    const expected =
      /status of 40[139]|status of 422|status of 503|ERR_FAILED|ERR_CONNECTION|WebSocket|ERR_NETWORK|ERR_INTERNET/.test(
        message.text(),
      );
    // What a bucket has none of, S3 answers so.
    const absent = /status of 404/.test(message.text()) && /\?(policy|lifecycle)$/.test(message.location().url);
    if (message.type() === 'error' && !expected && !absent) complaints.push(message.text());
  });
  return complaints;
}

/** Opens the page and waits for that part of it. Networks that come and go on this machine make Chromium drop what is
 * under way; then it is opened again. */
export async function arrive(page: Page, url: string, testId: string | RegExp): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    let cut = false;
    const note = (request: Request) => {
      cut ||= request.failure()?.errorText.includes('ERR_NETWORK_CHANGED') ?? false;
    };
    page.on('requestfailed', note);
    try {
      await page.goto(url);
      return await page.getByTestId(testId).first().waitFor({ timeout: 30_000 });
    } catch (error) {
      if (attempt === 2 || !(cut || String(error).includes('ERR_NETWORK_CHANGED'))) throw error;
    } finally {
      page.off('requestfailed', note);
    }
  }
}

export async function logIn(page: Page, url: string, name: string, password: string): Promise<void> {
  await arrive(page, url, 'username');
  await page.getByTestId('username').fill(name);
  await page.getByTestId('password').fill(password);
  await page.getByTestId('enter').click();
  await page.getByTestId('verdict').waitFor();
}

/** Changes the screen without loading the page again, as a link does. */
export async function visit(page: Page, path: string): Promise<void> {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, path);
}
