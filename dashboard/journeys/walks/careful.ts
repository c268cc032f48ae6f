/** What others depend on is not taken away by one press, nor by one that was meant for another row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../browser.ts';
import { cloud, journey, skip } from '../house.ts';

test('what others need is stopped only after a question that names them', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services');
    const row = page.getByRole('row').filter({ hasText: 'key-manager' });
    const dialog = page.getByRole('dialog');
    for (const [press, title] of [
      ['Disable', 'Disable key-manager?'],
      ['One instance of key-manager fewer', 'Scale key-manager to 0?'],
    ] as const) {
      await row.getByRole('button', { name: press }).click();
      await dialog.getByRole('heading', { name: title }).waitFor();
      await dialog.getByText(/storage-manager needs? key-manager\./).waitFor();
      // Enter, on what has the focus, does no harm.
      await page.keyboard.press('Enter');
      await dialog.waitFor({ state: 'detached' });
    }
    await row.getByText('Ready', { exact: true }).waitFor();
    await row.getByText('1/1', { exact: true }).waitFor();
  }),
);

test('a row stays under the pointer, whatever comes before it', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/services');
    const minus = page.getByRole('button', { name: 'One instance of storage-manager fewer' });
    await minus.hover();
    const before = await minus.boundingBox();
    await cloud().apply({ kind: 'Service', name: 'broken', spec: { image: 'nginx' } });
    const broken = page.getByRole('link', { name: 'broken', exact: true });
    await broken.waitFor();
    assert.deepEqual(await minus.boundingBox(), before);
    await page.mouse.move(5, 5);
    const first = page.getByRole('table', { name: 'Services' }).getByRole('link').first();
    await first.and(broken).waitFor();
    await cloud().tell('delete', 'service', 'broken');
    await broken.waitFor({ state: 'detached' });
    await visit(page, '/ui');
    await page.getByText('All is well').waitFor();
  }),
);

test('the last admin is asked before disabling themselves, and is refused', { skip }, () =>
  journey(async (page) => {
    await visit(page, '/ui/users');
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'admin', exact: true }) });
    await row.getByRole('button', { name: 'Disable' }).click();
    await page
      .getByRole('dialog')
      .getByText(/only another admin can let you in again/)
      .waitFor();
    await page.getByRole('button', { name: 'Disable my account' }).click();
    await page
      .getByTestId('notices')
      .getByText(/Reverted: .*the last user with the role admin/)
      .waitFor();
    await row.getByRole('button', { name: 'Disable' }).waitFor();
  }),
);

test('a service is made from a template, and what does not run here says why', { skip }, () =>
  journey(async (page) => {
    await page.getByTestId('step-service').click();
    await page
      .getByTestId('not-here')
      .getByText(/nginx.*container/)
      .waitFor();
    await page.getByTestId('template-static-site').click();
    await page.keyboard.type('Hello');
    await page.getByTestId('create-service').click();
    await page.getByRole('alert').getByText(/Hello/).waitFor();
    await page.getByTestId('service-name').fill('hello');
    await page.getByTestId('create-service').click();
    await page.getByRole('heading', { name: 'hello', level: 1 }).waitFor();
    await page.getByText('hello is created, and starts now').waitFor();
    await visit(page, '/ui');
    await page.getByRole('list', { name: 'First steps' }).getByText('Done.').first().waitFor();
    await cloud().tell('delete', 'service', 'hello');
    await cloud().tell('delete', 'configmap', 'hello-files');
    await page.getByText('All is well').waitFor();
  }),
);
