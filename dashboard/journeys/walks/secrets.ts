/** What is kept from the screen until somebody asks for it, and who can read what lies in a bucket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Page } from 'playwright-core';

import { visit } from '../browser.ts';
import { cloud, journey, seriousFaults, skip } from '../house.ts';

const PAGE = '/ui/k/aerekos.cloud/v1/managedsecrets/default/pantry';

/** As AWS tools ask for it. */
async function secretsManager(operation: string, body: object): Promise<void> {
  const headers = { 'x-amz-target': `secretsmanager.${operation}`, 'content-type': 'application/x-amz-json-1.1' };
  const asked = { method: 'POST', headers, body: JSON.stringify(body) };
  const { code, text } = await cloud().asked('/services/secrets-manager/', asked);
  assert.equal(code, 200, text);
}

function reads(page: Page): string[] {
  const found: string[] = [];
  page.on('request', (request) => {
    if (request.headers()['x-amz-target'] === 'secretsmanager.GetSecretValue') found.push(request.postData() ?? '');
  });
  return found;
}

/** Comes back once nothing is wider than the window. */
async function fits(page: Page): Promise<void> {
  await page.waitForFunction(() => document.documentElement.scrollWidth <= window.innerWidth);
}

test('a value is shown after a yes alone, hidden again by itself, and the audit log tells who read it', { skip }, () =>
  journey(async (page) => {
    await secretsManager('CreateSecret', {
      Name: 'pantry',
      SecretString: 'bread and salt',
      ClientRequestToken: crypto.randomUUID(),
    });
    await secretsManager('PutSecretValue', {
      SecretId: 'pantry',
      SecretString: 'salt and bread',
      ClientRequestToken: crypto.randomUUID(),
    });
    const asked = reads(page);
    await visit(page, PAGE);
    const versions = page.getByRole('list', { name: 'Versions' }).getByRole('listitem');
    await versions.first().getByText('AWSCURRENT').waitFor();
    await versions.nth(1).getByText('AWSPREVIOUS').waitFor();
    const dialog = page.getByRole('dialog');
    await page.getByTestId('reveal-2').click();
    await dialog.getByText(/The audit log tells that admin read it/).waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual(asked, [], 'nothing is read before a yes');
    const value = page.getByTestId('value');
    const reveal = async (number: number) => {
      await page.getByTestId(`reveal-${number}`).click();
      await dialog.getByRole('button', { name: 'Show it' }).click();
      await value.waitFor();
    };
    await reveal(2);
    assert.equal(await value.textContent(), 'salt and bread');
    assert.deepEqual(await seriousFaults(page, '[role="main"]'), []);
    // Whoever comes back finds it hidden.
    await visit(page, '/ui/services');
    await page.getByRole('heading', { name: 'Services', level: 1 }).waitFor();
    await visit(page, PAGE);
    await versions.first().waitFor();
    assert.ok(!(await page.content()).includes('salt and bread'), 'it is kept after the page was left');
    await page.clock.install();
    await page.setViewportSize({ width: 390, height: 844 });
    await reveal(1);
    assert.equal(await value.textContent(), 'bread and salt');
    await fits(page);
    await page.clock.runFor(31_000);
    await value.waitFor({ state: 'detached' });
    assert.ok(!(await page.content()).includes('bread and salt'), 'it is kept after its time');
    assert.equal(asked.length, 2, 'each was read once');
    await page.setViewportSize({ width: 1440, height: 900 });
    await visit(page, '/ui/audit?q=secretsmanager:GetSecretValue');
    await page.getByRole('row').filter({ hasText: ':secret:pantry-' }).filter({ hasText: 'admin' }).nth(1).waitFor();
    await secretsManager('DeleteSecret', { SecretId: 'pantry', ForceDeleteWithoutRecovery: true });
  }),
);

test('a bucket says in plain words who can read it, how it is protected, and what goes by itself', { skip }, () =>
  journey(async (page) => {
    const put = async (query: string, body: string) => {
      const { code, text } = await cloud().asked(`/services/storage-manager/larder?${query}`, { method: 'PUT', body });
      assert.ok(code < 300, text);
    };
    await cloud().apply({ kind: 'Bucket', name: 'larder', spec: {} });
    await visit(page, '/ui/buckets/default/larder');
    const readers = page.getByRole('region', { name: 'Who can read it' });
    await readers.getByText(/^Nobody else/).waitFor();
    await page.getByText('No rules: everything stays until somebody deletes it.').waitFor();
    await page.getByText('all four on: nothing becomes public, nothing public counts').waitFor();
    const Principal = { AWS: '111122223333' };
    const statement = { Effect: 'Allow', Principal, Action: 's3:GetObject', Resource: 'arn:aws:s3:::larder/jam/*' };
    await put('policy', JSON.stringify({ Version: '2012-10-17', Statement: [statement] }));
    const rule =
      '<ID>old</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter><Expiration><Days>7</Days></Expiration>';
    await put('lifecycle', `<LifecycleConfiguration><Rule>${rule}</Rule></LifecycleConfiguration>`);
    await page.getByRole('button', { name: 'Read again' }).click();
    await readers.getByText(/^Not this account alone: account 111122223333\./).waitFor();
    await readers.getByRole('list', { name: 'Readers' }).getByText('in jam/*').waitFor();
    await page.getByText('They are deleted 7 days after they were written.').waitFor();
    assert.deepEqual(await seriousFaults(page, '[role="main"]'), []);
    await page.setViewportSize({ width: 390, height: 844 });
    await fits(page);
    await cloud().tell('delete', 'bucket', 'larder');
  }),
);
