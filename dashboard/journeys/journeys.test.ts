/**
 * What people do, in a real browser against a real cloud: `node --test journeys/`.
 *
 * AEREKOS: path of the `aerekos` command. One cloud for all; every journey leaves it as it was.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import type { Page } from 'playwright-core';

import { chromiumPath, closeBrowser, logIn, open, visit, type Opened } from './browser.ts';
import { Cloud, PASSWORD } from './cloud.ts';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const aerekos = process.env.AEREKOS ?? 'aerekos';
const skip = chromiumPath() ? false : 'no Chromium here (Debian: apt install chromium)';
const VIEWER = { name: 'vera', password: 'only-looking-around' };
let cloud: Cloud;

before(async () => {
  if (!skip) cloud = await Cloud.start(aerekos);
});
after(async () => {
  await closeBrowser();
  await cloud?.end();
});

/** A browser of its own, logged in; a page that complained fails the journey. */
async function journey(
  walk: (page: Page, opened: Opened) => Promise<void>,
  width = 1440,
  height = 900,
  who = { name: 'admin', password: PASSWORD },
): Promise<void> {
  const opened = await open(width, height);
  opened.page.setDefaultTimeout(30_000);
  try {
    await logIn(opened.page, cloud.url, who.name, who.password);
    await walk(opened.page, opened);
    assert.deepEqual(opened.complaints, []);
  } finally {
    await opened.close();
  }
}

/** Every text the verdict shows from now on. */
async function recordVerdicts(page: Page): Promise<void> {
  await page.evaluate(() => {
    const seen: string[] = [];
    Object.assign(window, { verdicts: seen });
    const target = document.querySelector('[data-testid="verdict"]')!;
    new MutationObserver(() => seen.push(target.textContent ?? '')).observe(target, {
      subtree: true,
      childList: true,
      characterData: true,
    });
  });
}

/** Everything axe knows but what it calls minor. */
async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const found = await (window as any).axe.run(document);
    return found.violations
      .filter((each: any) => each.impact !== 'minor')
      .map(
        (each: any) =>
          `${each.id}: ${each.nodes
            .slice(0, 3)
            .map((node: any) => node.html.slice(0, 160))
            .join(' | ')}`,
      );
  });
}

test(
  'a wrong password is refused in words, the right one opens; the session survives a reload, not a sign-out',
  { skip },
  async () => {
    const { page, close, complaints, context } = await open(1440, 900);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    try {
      await page.goto(cloud.url);
      await page.getByTestId('username').fill('admin');
      await page.getByTestId('password').fill('not this one');
      await page.getByTestId('enter').click();
      await page.getByText('Wrong name or password.').waitFor();
      await page.getByTestId('password').fill(PASSWORD);
      await page.keyboard.press('Enter');
      await page.getByText('All is well').waitFor();
      await page.reload();
      await page.getByText('All is well').waitFor();
      const kept = await page.evaluate(() =>
        JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
      );
      assert.doesNotMatch(kept, /eyJ/, 'a token lies where scripts can read it');
      const cookie = (await context.cookies()).find((each) => each.name === 'aerekos-refresh');
      assert.ok(cookie?.httpOnly && cookie.secure && cookie.sameSite === 'Strict');
      await page.getByTestId('sign-out').click();
      await page.getByTestId('username').waitFor();
      await page.reload();
      await page.getByTestId('username').waitFor();
      const elsewhere = asked.filter(
        (url) => !url.startsWith(cloud.url) && !url.startsWith('blob:') && !url.startsWith('data:'),
      );
      assert.deepEqual(elsewhere, [], 'the page asked somebody else');
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  },
);

test('a service is disabled and enabled again, and becomes Ready before ones eyes', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services');
    const row = page.getByRole('row').filter({ hasText: 'key-manager' });
    await row.getByRole('button', { name: 'Disable' }).click();
    await row.getByText('Disabled').waitFor();
    await row.getByRole('button', { name: 'Enable' }).click();
    await row.getByText('Ready', { exact: true }).waitFor();
    await row.getByText('1/1', { exact: true }).waitFor();
  }),
);

test('a killed process shows as an outage and comes back, without reloading', { skip }, () =>
  journey(async (page) => {
    await page.getByText('All is well').waitFor();
    await recordVerdicts(page);
    cloud.killInstance('key-manager-0');
    await page.waitForFunction(() => (window as any).verdicts.some((each: string) => !each.includes('All is well')));
    await page.waitForFunction(() => (window as any).verdicts.at(-1)?.includes('All is well'), null, {
      timeout: 30_000,
    });
    await visit(page, '/ui/services/default/key-manager');
    await page.getByRole('row').filter({ hasText: 'key-manager-0' }).getByText('1', { exact: true }).waitFor();
  }),
);

test('a viewer is shown no forbidden action, and the server refuses it anyway', { skip }, async () => {
  await journey(async (page) => {
    await visit(page, '/ui/users');
    await page.getByTestId('new').click();
    await page.getByLabel('Name').fill(VIEWER.name);
    await page.getByLabel('Password').fill(VIEWER.password);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('link', { name: VIEWER.name }).waitFor();
  });
  await journey(
    async (page) => {
      await visit(page, '/ui/services');
      await page.getByRole('row').filter({ hasText: 'key-manager' }).waitFor();
      assert.equal(await page.getByRole('button', { name: /Disable|Enable|copy of/ }).count(), 0);
      await visit(page, '/ui/workers');
      await page.getByRole('table').waitFor();
      assert.equal(await page.getByRole('button', { name: /Cordon|Join/ }).count(), 0);
      const code = await page.evaluate(async ({ name, password }) => {
        const login = await fetch('/auth/login', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ username: name, password }),
        });
        const { accessToken } = await login.json();
        const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/merge-patch+json' };
        const body = JSON.stringify({ spec: { enabled: false } });
        return (
          await fetch('/apis/aerekos.cloud/v1/namespaces/default/services/key-manager', {
            method: 'PATCH',
            headers,
            body,
          })
        ).status;
      }, VIEWER);
      assert.equal(code, 403);
    },
    1440,
    900,
    VIEWER,
  );
});

test('YAML: the server names the wrong field and its line; the corrected text is applied', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services/default/key-manager/yaml');
    const editor = page.getByTestId('yaml');
    await editor.waitFor();
    const whole = await editor.inputValue();
    await editor.fill(whole.replace('replicas: 1', 'replicas: many'));
    await page.getByTestId('check').click();
    await page
      .getByTestId('yaml-fault')
      .getByText(/Line \d+: spec\.replicas/)
      .waitFor();
    await editor.fill(whole.replace('replicas: 1', 'replicas: 2'));
    await page.getByTestId('check').click();
    await page.getByTestId('yaml-diff').getByText('+ replicas: 2').waitFor();
    await page.getByTestId('apply').click();
    await visit(page, '/ui/services/default/key-manager/history');
    await page.getByText('replicas 1 → 2').waitFor();
    await visit(page, '/ui/services');
    const row = page.getByRole('row').filter({ hasText: 'key-manager' });
    await row.getByText('2/2', { exact: true }).waitFor();
    await row.getByRole('button', { name: /fewer/ }).click();
    await row.getByText('1/1', { exact: true }).waitFor();
  }),
);

test('a file goes into a bucket, comes back the same, and is deleted', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/buckets');
    await page.getByTestId('new').click();
    await page.getByTestId('new-name').fill('holiday');
    await page.getByTestId('create').click();
    await page.getByRole('link', { name: 'holiday' }).waitFor();
    await visit(page, '/ui/buckets/default/holiday/objects');
    const content = Buffer.from('sun and sea\n'.repeat(20_000));
    await page.getByText('Nothing is here').waitFor();
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'diary.txt', mimeType: 'text/plain', buffer: content });
    const row = page.getByRole('row').filter({ hasText: 'diary.txt' });
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      row.getByRole('button', { name: 'Download' }).click(),
    ]);
    assert.deepEqual(readFileSync(await saved.path()), content);
    await row.getByRole('button', { name: /Delete/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete it' }).click();
    await page.getByText('Nothing is here').waitFor();
  }),
);

test('logs arrive live, and search finds the line', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services/default/key-manager/logs');
    await page.getByText('Following').waitFor();
    await page.getByTestId('log').getByText('Uvicorn running').first().waitFor();
    await page.getByTestId('search').fill('no such line anywhere');
    await page.getByText(/No line holds/).waitFor();
  }),
);

test('the conductor dies and returns: the page says how old its data is, then goes on by itself', { skip }, () =>
  journey(async (page) => {
    await page.getByText('Live', { exact: true }).waitFor();
    cloud.killConductor();
    const banner = page.getByTestId('connection-lost');
    await banner.getByText(/What you see is \d+ s old/).waitFor();
    await cloud.up();
    await banner.waitFor({ state: 'detached' });
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByText('All is well').waitFor();
  }),
);

test('a device without a network says so, and goes on when it is back', { skip }, () =>
  journey(async (page, { context }) => {
    await page.getByText('Live', { exact: true }).waitFor();
    await context.setOffline(true);
    await page
      .getByTestId('connection-lost')
      .getByText(/This device is offline/)
      .waitFor();
    await context.setOffline(false);
    await page.getByTestId('connection-lost').waitFor({ state: 'detached' });
    await page.getByText('All is well').waitFor();
  }),
);

test('everything is reachable from the keyboard', { skip }, () =>
  journey(async (page) => {
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.getByRole('heading', { name: 'Services', level: 1 }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('nothing-like-this');
    await page.getByText('No service matches').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByTestId('palette').waitFor();
    await page.keyboard.type('open key-manager');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'key-manager', level: 1 }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Find in this list').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  }),
);

test('a phone shows everything without scrolling sideways', { skip }, () =>
  journey(
    async (page) => {
      for (const path of [
        '/ui',
        '/ui/services',
        '/ui/workers',
        '/ui/keys',
        '/ui/services/default/key-manager',
        '/ui/settings',
      ]) {
        await visit(page, path);
        await page.getByRole('main').getByRole('heading').first().waitFor();
        const outside = await page.evaluate(() => {
          const cut = (element: Element): boolean =>
            element.parentElement !== null &&
            (getComputedStyle(element.parentElement).overflowX === 'auto' || cut(element.parentElement));
          const buttons = [...document.querySelectorAll('main button, main a, main input')];
          return buttons
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !cut(each))
            .map((each) => each.outerHTML.slice(0, 120));
        });
        const wide = await page.evaluate(
          () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
        );
        assert.deepEqual([wide, outside], [false, []], `${path} is wider than the phone`);
      }
      assert.equal(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').count(), 4);
    },
    375,
    812,
  ),
);

test('axe finds nothing serious', { skip }, () =>
  journey(async (page) => {
    for (const path of [
      '/ui',
      '/ui/services',
      '/ui/workers',
      '/ui/keys',
      '/ui/kinds',
      '/ui/users',
      '/ui/settings',
      '/ui/services/default/key-manager',
      '/ui/services/default/key-manager/yaml',
      '/ui/services/default/key-manager/logs',
    ]) {
      await visit(page, path);
      await page.getByText('Loading memory').first().waitFor({ state: 'detached' });
      await page.getByRole('main').getByRole('heading').first().waitFor();
      await page.evaluate(() =>
        Promise.all(
          document
            .getAnimations()
            .filter((each) => each.effect?.getTiming().iterations !== Infinity)
            .map((each) => each.finished),
        ),
      );
      assert.deepEqual(await seriousFaults(page), [], path);
    }
  }),
);
