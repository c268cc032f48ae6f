/** Who comes in, and what each may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open, visit } from '../browser.ts';
import { ADMIN, cloud, journey, skip } from '../house.ts';

const VIEWER = { name: 'vera', password: 'only-looking-around' };

test(
  'a wrong password is refused in words, the right one opens; the session survives a reload, not a sign-out',
  { skip },
  async () => {
    const { page, close, complaints, context } = await open(1440, 900);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    try {
      const said: string[] = [];
      page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
      const answer = await page.goto(cloud().url);
      const policy = answer!.headers()['content-security-policy']!;
      assert.match(policy, /default-src 'none'/);
      assert.doesNotMatch(policy, /unsafe/);
      await page.getByText(/Forgotten: aerekos user passwd admin/).waitFor();
      const { name } = await page.evaluate(() => fetch('/cloud').then((told) => told.json()));
      await page.waitForFunction((called) => document.title === `${called} · aerekos`, name);
      await page.getByTestId('username').fill(ADMIN.name);
      assert.deepEqual(said, [], 'a first visit is no fault');
      await page.getByTestId('password').fill('not this one');
      await page.getByTestId('enter').click();
      await page.getByText('Wrong name or password.').waitFor();
      await page.getByTestId('password').fill(ADMIN.password);
      await page.keyboard.press('Enter');
      await page.getByText('All is well').waitFor();
      assert.equal(await page.getByTestId('cloud-name').textContent(), name);
      assert.equal(await page.title(), `Home · ${name} · aerekos`);
      await page.reload();
      await page.getByText('All is well').waitFor();
      const kept = await page.evaluate(() =>
        JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
      );
      assert.doesNotMatch(kept, /eyJ/, 'a token lies where scripts can read it');
      const cookie = (await context.cookies()).find((each) => /^__Host-aerekos-refresh-[0-9a-f]{12}$/.test(each.name));
      assert.ok(cookie?.httpOnly && cookie.secure && cookie.sameSite === 'Strict' && cookie.path === '/');
      const alone = await context.request.post(`${cloud().url}/auth/refresh`, { data: {} });
      assert.equal(alone.status(), 401, 'the cookie is worth something without its key');
      const other = await context.newPage();
      await other.goto(cloud().url);
      await other.getByText('All is well').waitFor();
      await page.getByTestId('sign-out').click();
      await page.getByTestId('username').waitFor();
      await other.getByText('You signed out in another tab.').waitFor();
      await other.close();
      await page.reload();
      await page.getByTestId('username').waitFor();
      const elsewhere = asked.filter(
        (url) => !url.startsWith(cloud().url) && !url.startsWith('blob:') && !url.startsWith('data:'),
      );
      assert.deepEqual(elsewhere, [], 'the page asked somebody else');
      assert.deepEqual(complaints, []);
    } finally {
      await close();
    }
  },
);

test('a viewer is shown no forbidden action, and the server refuses it anyway', { skip }, async () => {
  await journey(async (page) => {
    await visit(page, '/ui/users');
    await page.getByTestId('new').click();
    await page.getByLabel('Name').fill(VIEWER.name);
    await page.getByLabel('Password').fill(VIEWER.password);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('link', { name: VIEWER.name }).waitFor();
    // The user is listed before the password is set; the dialog closes after.
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });
  await journey(
    async (page) => {
      const places = page.getByRole('navigation', { name: 'Main' });
      await places.getByRole('link', { name: 'Users' }).waitFor();
      await visit(page, '/ui/services');
      await page.getByRole('row').filter({ hasText: 'key-manager' }).waitFor();
      assert.equal(await page.getByRole('button', { name: /Disable|Enable|instance of|New service/ }).count(), 0);
      await visit(page, '/ui/workers');
      await page.getByRole('table').waitFor();
      assert.equal(await page.getByRole('button', { name: /Cordon|Join/ }).count(), 0);
      await visit(page, '/ui/services/default/key-manager/terminal');
      await page.getByRole('heading', { name: 'key-manager', level: 1 }).waitFor();
      assert.equal(await page.getByRole('link', { name: 'Terminal' }).count(), 0);
      assert.equal(await page.getByRole('button', { name: /Delete|Restart|Roll back/ }).count(), 0);
      assert.equal(await places.getByRole('link', { name: 'Audit log' }).count(), 0);
      await visit(page, '/ui/audit');
      await page
        .getByRole('alert')
        .getByText(/forbidden/)
        .waitFor();
      const codes = await page.evaluate(async ({ name, password }) => {
        const send = (path: string, method: string, headers: Record<string, string>, body?: object) =>
          fetch(path, { method, headers, body: body && JSON.stringify(body) });
        const json = { 'content-type': 'application/json' };
        const login = await send('/auth/login', 'POST', json, { username: name, password });
        const bearer = { authorization: `Bearer ${(await login.json()).accessToken}` };
        const patch = { ...bearer, 'content-type': 'application/merge-patch+json' };
        const service = '/apis/aerekos.cloud/v1/namespaces/default/services/key-manager';
        return Promise.all(
          [send(service, 'PATCH', patch, { spec: { enabled: false } }), send('/audit', 'GET', bearer)].map(
            async (each) => (await each).status,
          ),
        );
      }, VIEWER);
      assert.deepEqual(codes, [403, 403]);
    },
    { who: VIEWER },
  );
});
