/**
 * Pictures of every screen, on a desk and on a phone, of a temporary cloud with realistic data.
 *
 *     node journeys/screenshots.ts PYTHON OUTPUT [URL]
 *
 * With URL, a cloud filled by demo_data.py that runs already is taken.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Page } from 'playwright-core';

import { chromiumPath, closeBrowser, logIn, open } from './browser.ts';

const PASSWORD = 'demo-password-only-for-pictures';
const PORT = 17557;
const SIZES = [
  { name: 'desktop', width: 1440, height: 900, more: {} },
  { name: 'phone', width: 390, height: 844, more: { hasTouch: true, isMobile: true } },
];

/** Name, path, and what is done there before the picture. */
const SCREENS: [string, string, ((page: Page) => Promise<unknown>)?][] = [
  ['home', '/ui'],
  ['topology', '/ui', (page) => page.getByRole('region', { name: 'Topology' }).scrollIntoViewIfNeeded()],
  ['services', '/ui/services'],
  ['new-service', '/ui/services', (page) => page.getByTestId('new').click()],
  ['template', '/ui/services', fillTemplate],
  ['question', '/ui/services/default/key-manager', (page) => act(page, 'Disable')],
  ['service', '/ui/services/default/crawler-manager'],
  ['metrics', '/ui/services/default/shop-api', (page) => page.waitForTimeout(40_000)], // sparklines grow
  ['logs', '/ui/services/default/key-manager/logs'],
  ['terminal', '/ui/services/default/key-manager/terminal', useTerminal],
  ['update', '/ui/services/default/shop-web', (page) => act(page, 'Update')],
  ['yaml', '/ui/services/default/shop-web/yaml', editYaml],
  ['history', '/ui/services/default/shop-web/history'],
  [
    'change',
    '/ui',
    (page) =>
      page
        .getByRole('button', { name: /Look at this change of shop-web/ })
        .first()
        .click(),
  ],
  ['workers', '/ui/workers'],
  ['worker', '/ui/workers/-/gpu-01'],
  ['worker-silent', '/ui/workers/-/edge-fra-02'],
  ['drain', '/ui/workers/-/edge-fra-01', (page) => act(page, 'Drain')],
  ['join', '/ui/workers', joinMachine],
  ['keys', '/ui/keys'],
  ['buckets', '/ui/buckets'],
  ['objects', '/ui/buckets/default/invoices/objects'],
  ['object', '/ui/buckets/default/invoices/objects', shareObject],
  ['kinds', '/ui/kinds'],
  ['explorer', '/ui/api', (page) => page.getByRole('button', { name: 'Try list' }).click()],
  ['audit', '/ui/audit'],
  ['events', '/ui/k/core/v1/events'],
  ['users', '/ui/users'],
  ['identity', '/ui/users/-/nora'],
  ['policy', '/ui/k/aerekos.cloud/v1/iampolicies/default/openinvoices'],
  ['key', '/ui/keys/default/billing-2026'],
  ['access', '/ui/access?who=nora&does=s3:GetObject&what=bucket/backups/2026.tar'],
  ['who-may', '/ui/access?show=who&does=kms:Decrypt&what=key/billing-2026'],
  ['refusals', '/ui/access?show=refused'],
  ['settings', '/ui/settings'],
  ['copy-as', '/ui/services', (page) => page.getByTestId('copy-as').click()],
  ['palette', '/ui', (page) => page.keyboard.press('Control+k').then(() => page.getByTestId('palette').fill('shop'))],
  ['help', '/ui', (page) => page.keyboard.press('?')],
];

/** On a phone, what can be done is behind one button. */
async function act(page: Page, name: string): Promise<void> {
  const behind = page.getByRole('button', { name: 'Actions', exact: true });
  if (await behind.isVisible()) await behind.click();
  await page.getByRole('button', { name, exact: true }).click();
}

async function fillTemplate(page: Page): Promise<void> {
  await page.getByTestId('new').click();
  await page.getByTestId('template-static-site').click();
  await page.getByTestId('service-name').fill('hello');
}

async function editYaml(page: Page): Promise<void> {
  const editor = page.getByTestId('yaml');
  await editor.waitFor();
  await editor.fill((await editor.inputValue()).replace(/replicas: \d+/, 'replicas: 9'));
  await page.getByTestId('check').click();
  await page.getByTestId('yaml-diff').waitFor();
}

async function useTerminal(page: Page): Promise<void> {
  await page.getByTestId('command').fill('sh');
  await page.getByTestId('open-terminal').click();
  await page.locator('.xterm-rows').getByText(/[$#]/).first().waitFor();
  await page.keyboard.type('echo "$AEREKOS_INSTANCE listens on $AEREKOS_LISTEN"; python3 --version; uptime\n');
  await page.locator('.xterm-rows').getByText('load average').waitFor();
}

async function joinMachine(page: Page): Promise<void> {
  await page.getByTestId('join').click();
  await page.getByTestId('make-line').click();
  await page.getByTestId('arrivals').waitFor();
}

async function shareObject(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'README.md', exact: true }).click();
  await page.getByTestId('presign').click();
  await page.getByText('Whoever has it').waitFor();
}

async function cloud(python: string, folder: string): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'demo_data.py');
  const child = spawn(python, [script, folder, String(PORT)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the demonstration cloud ended with ${code}`)));
  });
  return child;
}

async function take(url: string, output: string): Promise<void> {
  const only = process.env.ONLY?.split(',');
  for (const { name, width, height, more } of SIZES) {
    const { page, close, complaints } = await open(width, height, more);
    await page.goto(url);
    await page.getByTestId('username').waitFor();
    await page.screenshot({ path: join(output, `login-${name}.png`) });
    await logIn(page, url, 'admin', PASSWORD);
    for (const [screen, path, before] of SCREENS) {
      if (only && !only.includes(screen)) continue;
      await page.goto(new URL(path, url).href);
      await page.getByRole('main').waitFor();
      await page.getByText('Loading memory').first().waitFor({ state: 'detached' });
      await page.waitForTimeout(2400); // heartbeats, requests and history arrive
      await before?.(page).catch((error: Error) => complaints.push(`${screen}: ${error.message}`));
      await page.waitForTimeout(350);
      await page.screenshot({ path: join(output, `${screen}-${name}.png`) });
    }
    await close();
    for (const complaint of complaints) console.error(`${name}: ${complaint}`);
  }
  await closeBrowser();
}

const [python = 'python3', output = 'docs/images', running] = process.argv.slice(2);
if (!chromiumPath()) {
  console.error('no Chromium was found; install one (Debian: apt install chromium) or set AEREKOS_CHROMIUM');
  process.exit(1);
}
mkdirSync(output, { recursive: true });
if (running) {
  await take(running, output);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'aerekos-pictures-'));
  const child = await cloud(python, folder);
  try {
    await take(`https://127.0.0.1:${PORT}`, output);
  } finally {
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdin!.end();
    await gone;
    rmSync(folder, { recursive: true, force: true });
  }
}
