/** Schedules and webhooks, as people look after them. Nothing leaves the machine: their address is nowhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { visit } from '../browser.ts';
import { cloud, journey, seriousFaults, skip } from '../house.ts';

const NOWHERE = 'https://nowhere.invalid/hook';

async function onAPhoneToo(page: Page): Promise<void> {
  assert.deepEqual(await seriousFaults(page, '[role="main"]'), []);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.waitForFunction(() => document.documentElement.scrollWidth <= window.innerWidth);
  await page.setViewportSize({ width: 1440, height: 900 });
}

export function messageWalks(): void {
  test('a schedule tells its next ten times, is called now, and pauses', { skip }, () =>
    journey(
      async (page) => {
        const spec = { expression: 'cron(30 2 * * ? *)', timezone: 'Europe/Berlin', target: { arn: NOWHERE } };
        await cloud().apply({ kind: 'Schedule', name: 'nightly', spec });
        await visit(page, '/ui/schedules/default/nightly');
        const times = page.getByRole('list', { name: 'Next times' }).getByRole('listitem');
        await times.nth(9).waitFor();
        assert.equal(await times.count(), 10);
        await times
          .first()
          .getByText(/02:30 Europe\/Berlin/)
          .waitFor();
        await times
          .first()
          .getByText(/, (06|07):[03]0$/)
          .waitFor(); // India has half hours
        await page.getByText('It was not called yet.').waitFor();
        await page.getByTestId('run').click();
        await page.getByRole('dialog').getByRole('button', { name: 'Call it now' }).click();
        await page.getByRole('list', { name: 'Calls' }).getByText(/^due /).waitFor();
        await onAPhoneToo(page);
        await page.getByTestId('pause').click();
        await page.getByText('None while it is paused.').waitFor();
        await cloud().tell('delete', 'schedule', 'nightly');
      },
      { timezoneId: 'Asia/Kolkata' },
    ),
  );

  test('a webhook shows its attempts, and what it sent and signs with when it is asked to', { skip }, () =>
    journey(async (page) => {
      await cloud().apply({ kind: 'WebhookEndpoint', name: 'hook', spec: { url: NOWHERE, retryDelaySeconds: [1] } });
      const body = JSON.stringify({ type: 'invoice.paid', data: { amount: 5 }, id: 'invoice-17' });
      const headers = { 'content-type': 'application/json' };
      const sent = { method: 'POST', headers, body };
      const { code } = await cloud().asked('/services/webhook-manager/endpoints/default/hook/messages', sent);
      assert.equal(code, 202);
      await visit(page, '/ui/webhookendpoints/default/hook');
      const messages = page.getByRole('region', { name: 'Messages' });
      await messages.getByRole('button', { name: 'Attempts of invoice-17' }).click();
      await messages
        .getByText(/^no answer in \d+ ms/)
        .first()
        .waitFor();
      assert.ok(!(await page.content()).includes('"amount":5'), 'what is sent is shown unasked');
      await page.getByTestId('content').click();
      await messages.getByText(/"amount":5/).waitFor();
      await onAPhoneToo(page);
      await page.getByTestId('reveal').click();
      assert.ok(!(await page.content()).includes('whsec_'), 'the secret is shown before a yes');
      await page.getByRole('dialog').getByRole('button', { name: 'Show it' }).click();
      assert.match((await page.getByTestId('value').textContent())!, /^whsec_/);
      await page.getByTestId('hide').click();
      await page.getByTestId('value').waitFor({ state: 'detached' });
      assert.ok(!(await page.content()).includes('whsec_'), 'it is kept after it was hidden');
      await cloud().tell('delete', 'webhookendpoint', 'hook');
    }),
  );
}
