/** When the cloud or the network is away, the page says so, and afterwards shows what is true. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../browser.ts';
import { cloud, journey, skip } from '../house.ts';

test('the conductor dies and returns: the page tells the age of its data, then has every row once', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services');
    await page.getByText('Live', { exact: true }).waitFor();
    const rows = page.getByRole('table', { name: 'Services' }).getByRole('link');
    await page.getByRole('link', { name: 'storage-manager', exact: true }).waitFor();
    const before = await rows.allTextContents();
    cloud().killConductor();
    const banner = page.getByTestId('connection-lost');
    await banner.getByText(/What you see is \d+ s old/).waitFor();
    await cloud().up();
    // Made while the page was still waiting: it must not be missed.
    await cloud().apply({ kind: 'Service', name: 'late', spec: { image: 'nginx', enabled: false } });
    await banner.waitFor({ state: 'detached' });
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'late', exact: true }).waitFor();
    assert.deepEqual((await rows.allTextContents()).sort(), [...before, 'late'].sort());
    await cloud().tell('delete', 'service', 'late');
    await page.getByRole('link', { name: 'late', exact: true }).waitFor({ state: 'detached' });
    await visit(page, '/ui');
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
