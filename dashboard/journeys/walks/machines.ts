/** A machine joins before ones eyes, is cordoned, and removed. Its agent is played by this test, over the real API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../browser.ts';
import { cloud, journey, skip } from '../house.ts';

const FACTS = {
  capacity: { cpu: '2', memory: '4Gi', disk: '10Gi' },
  addresses: [{ type: 'InternalIP', address: '10.9.8.7' }],
  system: {},
};
const BEAT = { usage: { cpu: 0.5, memory: 2 ** 30, disk: 2 ** 30, networkReceived: 0, networkSent: 0 }, services: {} };

test('a machine joins with the line, is seen step by step, and is removed', { skip }, () =>
  journey(async (page, { context }) => {
    const send = async (path: string, data: object, token = '') => {
      const headers = token ? { authorization: `Bearer ${token}` } : undefined;
      const answer = await context.request.post(cloud().url + path, { data, headers });
      assert.ok(answer.ok(), `${path}: ${answer.status()} ${await answer.text()}`);
      return answer.json();
    };
    await visit(page, '/ui/workers');
    await page.getByTestId('join').click();
    await page.getByTestId('make-line').click();
    const line = await page.getByText(/aerekos-agent --api/).textContent();
    const arrivals = page.getByTestId('arrivals');
    await arrivals.getByText('Waiting for the machine to call').waitFor();
    const { clientId, clientSecret } = await send('/auth/join', {
      token: /AEREKOS_AGENT_TOKEN=(\S+)/.exec(line!)![1],
      name: 'oak',
    });
    await arrivals.getByText('oak', { exact: true }).waitFor();
    const { accessToken } = await send('/auth/token', { clientId, clientSecret });
    await send('/agents/register', FACTS, accessToken);
    const beating = setInterval(() => void send('/agents/heartbeat', BEAT, accessToken).catch(() => undefined), 700);
    try {
      await page.getByRole('button', { name: 'Done' }).click();
      const row = page.getByRole('row').filter({ hasText: 'oak' });
      await row.getByText('Ready').waitFor();
      await row.getByRole('button', { name: 'Cordon' }).click();
      await row.getByText('Cordoned').waitFor();
      await row.getByRole('link', { name: 'oak' }).click();
      await page.getByRole('button', { name: 'Drain' }).click();
      await page.getByText(/Nothing runs there/).waitFor();
      await page.getByTestId('drain').click();
      await page.getByText(/Nothing runs on oak any more/).waitFor();
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
      await page.getByTestId('delete').click();
      await page.getByLabel(/Type oak/).fill('oak');
      await page.getByRole('button', { name: 'Remove it' }).click();
      await page.getByRole('heading', { name: 'Workers', level: 1 }).waitFor();
      await row.waitFor({ state: 'detached' });
    } finally {
      clearInterval(beating);
    }
  }),
);
