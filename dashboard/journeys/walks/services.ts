/** What runs: enabled, broken, edited, undone. These change what the verdict says, so they go one after the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { visit } from '../browser.ts';
import { cloud, journey, skip } from '../house.ts';

const keyManager = (page: Page) => page.getByRole('row').filter({ hasText: 'key-manager' });

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

test('a service is enabled from the catalog, and becomes Ready before ones eyes', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services/default/storage-manager');
    await page.getByTestId('delete').click();
    await page.getByLabel(/Type storage-manager/).fill('storage-manager');
    await page.getByRole('button', { name: 'Delete it' }).click();
    await page.getByRole('heading', { name: 'Services', level: 1 }).waitFor();
    const row = page.getByRole('row').filter({ hasText: 'storage-manager' });
    await row.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Enable Storage', exact: true }).click();
    await row.getByText('Ready', { exact: true }).waitFor();
    await row.getByText('1/1', { exact: true }).waitFor();
  }),
);

test('a killed process shows as an outage and comes back, without reloading', { skip }, () =>
  journey(async (page) => {
    await page.getByText('All is well').waitFor();
    await recordVerdicts(page);
    await cloud().killInstance('key-manager-0');
    await page.waitForFunction(() => (window as any).verdicts.some((each: string) => !each.includes('All is well')));
    await page.waitForFunction(() => (window as any).verdicts.at(-1)?.includes('All is well'));
    await visit(page, '/ui/services/default/key-manager');
    await page.getByRole('row').filter({ hasText: 'key-manager-0' }).getByText('2', { exact: true }).waitFor();
  }),
);

test('Home says what `aerekos status` says, with the button that helps', { skip }, () =>
  journey(async (page) => {
    await cloud().apply({ kind: 'Service', name: 'broken', spec: { image: 'nginx' } });
    await page.getByText('1 thing needs attention').waitFor();
    const told = JSON.parse(await cloud().tell('status', '-o', 'json'));
    assert.equal(told.summary, '1 thing needs attention');
    const list = page.getByRole('list', { name: 'What needs attention' });
    await list.getByText(told.findings[0].message).waitFor();
    await list.getByRole('button', { name: 'Disable it' }).waitFor();
    await cloud().tell('delete', 'service', 'broken');
    await page.getByText('All is well').waitFor();
  }),
);

test('YAML: the schema objects while one types, the server names the field; right, it shows a diff', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services/default/key-manager/yaml');
    const editor = page.getByTestId('yaml');
    await editor.waitFor();
    const whole = await editor.inputValue();
    await editor.fill(whole.replace('replicas: 1', 'replicas: many'));
    await page
      .getByTestId('yaml-hint')
      .getByText(/Line \d+: spec\.replicas must be a whole number/)
      .waitFor();
    await page.getByTestId('check').click();
    await page
      .getByTestId('yaml-fault')
      .getByText(/Line \d+: spec\.replicas/)
      .waitFor();
    await editor.fill(whole.replace('replicas: 1', 'replicas: 2'));
    await page.getByTestId('check').click();
    await page.getByTestId('yaml-diff').getByText('+ replicas: 2').waitFor();
    await page.getByTestId('apply').click();
    await visit(page, '/ui/services');
    await keyManager(page).getByText('2/2', { exact: true }).waitFor();
  }),
);

test('the time machine shows any version; a change is undone from the home screen', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services/default/key-manager/history');
    await page.getByRole('radio', { name: /replicas 1 → 2/ }).click();
    await page.getByTestId('yaml-diff').getByText('- replicas: 1').waitFor();
    await page.getByRole('radio', { name: 'Full manifest' }).click();
    await page.getByTestId('yaml-diff').getByText('kind: Service').waitFor();
    await visit(page, '/ui');
    await page
      .getByRole('listitem')
      .filter({ hasText: 'replicas 1 → 2' })
      .getByRole('button', { name: /Look at this change/ })
      .click();
    await page.getByTestId('yaml-diff').getByText('+ replicas: 2').waitFor();
    await page.getByTestId('undo').click();
    await page.getByText('key-manager: the change is undone').waitFor();
    await visit(page, '/ui/services');
    await keyManager(page).getByText('1/1', { exact: true }).waitFor();
    await visit(page, '/ui');
    await page.getByText('All is well').waitFor();
  }),
);

test('what the server refuses is taken back, and says why', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services');
    await page.route('**/services/key-manager', (route) =>
      route.request().method() === 'PATCH'
        ? route.fulfill({ status: 403, json: { kind: 'Status', code: 403, message: 'not today' } })
        : route.continue(),
    );
    const instances = page.getByRole('group', { name: 'Instances of key-manager' });
    await instances.getByText('1', { exact: true }).waitFor();
    await instances.getByRole('button', { name: /more/ }).click();
    await page.getByText('Reverted: not today').waitFor();
    await instances.getByText('1', { exact: true }).waitFor();
  }),
);
