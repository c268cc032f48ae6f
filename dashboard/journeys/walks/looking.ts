/** What changes nothing others would see: these may go side by side. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { visit } from '../browser.ts';
import { ADMIN, cloud, journey, seriousFaults, settled, skip, STILL } from '../house.ts';

/** `album`, with a folder and a file in that. */
function aFolder(): string {
  const album = join(mkdtempSync(join(tmpdir(), 'aerekos-upload-')), 'album');
  mkdirSync(join(album, '2026'), { recursive: true });
  writeFileSync(join(album, '2026', 'sea.txt'), 'sun and sea');
  return album;
}

export function lookingWalks(): void {
  test('a file goes into a bucket, is shared by a link, comes back the same, and is deleted', { skip }, () =>
    journey(async (page, { context }) => {
      await visit(page, '/ui/buckets');
      await page.getByTestId('new').click();
      await page.getByTestId('new-name').fill('holiday');
      await page.getByTestId('create').click();
      await page.getByRole('link', { name: 'holiday' }).waitFor();
      await visit(page, '/ui/buckets/default/holiday/objects');
      const content = Buffer.from('sun and sea\n'.repeat(20_000));
      await page.getByText('Nothing is here').waitFor();
      await page
        .getByLabel('Files to upload')
        .setInputFiles({ name: 'my diary.txt', mimeType: 'text/plain', buffer: content });
      const row = page.getByRole('row').filter({ hasText: 'my diary.txt' });
      const [saved] = await Promise.all([
        page.waitForEvent('download'),
        row.getByRole('button', { name: 'Download' }).click(),
      ]);
      assert.deepEqual(readFileSync(await saved.path()), content);
      assert.ok(await page.getByTestId('notices').evaluate(coversNothing), 'a notice lies over the screen');
      await row.getByRole('button', { name: 'my diary.txt', exact: true }).click();
      for (const name of ['my diary.txt', 'holiday']) assert.deepEqual(await changedNames(page, name), []);
      await page.getByTestId('presign').click();
      const link = (await page.getByText(/X-Amz-Signature/).textContent())!;
      assert.equal(new URL(link).origin, new URL(page.url()).origin, 'by another address than one came by');
      const shared = await context.request.get(link);
      assert.deepEqual([shared.status(), (await shared.body()).equals(content)], [200, true]);
      assert.equal((await context.request.get(link.replace(/.$/, 'x'))).status(), 403);
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
      await row.getByRole('button', { name: /^Delete/ }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete it' }).click();
      await page.getByText('Nothing is here').waitFor();
      await page.getByLabel('Folder to upload').setInputFiles(aFolder());
      for (const name of ['album/', '2026/'])
        await page.getByRole('row').getByRole('button', { name, exact: true }).click();
      await page
        .getByRole('row')
        .filter({ hasText: 'sea.txt' })
        .getByRole('button', { name: /^Delete/ })
        .click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete it' }).click();
      await page.getByText('Nothing is here').waitFor();
      // What sealed it was made for that, with a UUID for a name; it is known by its alias.
      await visit(page, '/ui/keys');
      await page.getByTestId('search').fill('aws/s3');
      await page.getByRole('row').filter({ hasText: 'alias/aws/s3' }).getByText('Enabled').waitFor();
    }),
  );

  test('Settings gives AWS tools everything that `aerekos env` does', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/settings');
      await page.getByRole('button', { name: 'Show my AWS keys' }).click();
      const lines = (await page.getByText(/^export AWS_ENDPOINT_URL=/).textContent())!;
      const told = JSON.parse(await cloud().tell('env', '--format', 'json'));
      const shown = Object.fromEntries([...lines.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
      assert.deepEqual(Object.keys(shown).sort(), Object.keys(told).sort());
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_REGION', 'AWS_DEFAULT_REGION'])
        assert.equal(shown[name], told[name], name);
      assert.equal(shown.AWS_ENDPOINT_URL, new URL(page.url()).origin);
    }),
  );

  test('Settings shows the control loop as it is, again and again', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/settings');
      const panel = page.getByRole('region', { name: 'Control loop' });
      const told = () => page.waitForResponse((each) => each.url().endsWith('/health/loop'));
      const row = panel.getByRole('row').filter({ hasText: 'services.aerekos.cloud' });
      await row.getByText(/^\d+ resources?$/).waitFor();
      const passes = Number((await row.getByRole('cell').nth(4).textContent())!.split(' ')[0]!.replace(',', ''));
      assert.ok(passes > 0, 'services had their passes');
      const first = (await (await told()).json()) as { observedAt: string };
      const next = (await (await told()).json()) as { observedAt: string; store: { revision: number } };
      assert.notEqual(next.observedAt, first.observedAt);
      await panel.getByText(next.store.revision.toLocaleString('en'), { exact: true }).first().waitFor();
    }),
  );

  test('a key is made and rotated, and its version moves on by itself', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/keys');
      await page.getByTestId('new').click();
      await page.getByTestId('new-name').fill('turning');
      await page.getByTestId('create').click();
      const row = page.getByRole('row').filter({ hasText: 'turning' });
      await row.getByText('Enabled').waitFor();
      await row.getByRole('cell').getByText('1', { exact: true }).waitFor();
      await row.getByRole('link', { name: 'turning' }).click();
      await page.getByTestId('rotate').click();
      await page.getByText('turning has new material').waitFor();
      await visit(page, '/ui/keys');
      await row.getByRole('cell').getByText('2', { exact: true }).waitFor();
    }),
  );

  test('the statement that decides is shown in its policy, beside what roles say', { skip }, () =>
    journey(async (page) => {
      await cloud().apply({ kind: 'User', name: 'iris', spec: { roles: ['editor'] } });
      const statements = [
        { Sid: 'Look', Effect: 'Allow', Action: 'kms:ListKeys', Resource: '*' },
        { Sid: 'NoOpening', Effect: 'Deny', Action: 'kms:Decrypt', Resource: '*' },
      ];
      const inline = { shut: JSON.stringify({ Version: '2012-10-17', Statement: statements }) };
      await cloud().apply({ kind: 'IamUser', name: 'iris', spec: { userName: 'iris', inline } });
      await visit(page, '/ui/access');
      await page.getByTestId('who').fill('iris');
      await page.getByTestId('does').fill('kms:Decrypt');
      await page.getByTestId('what').fill('*');
      await page.keyboard.press('Enter');
      const answer = page.getByTestId('answer');
      await answer.getByText('No', { exact: true }).waitFor();
      await answer.getByText(/Statement 1 "NoOpening" of the policy shut/).waitFor();
      const deciding = page.getByTestId('deciding');
      await deciding.getByText('NoOpening', { exact: true }).waitFor();
      assert.equal(await deciding.count(), 1);
      await page.getByRole('region', { name: 'Roles' }).getByText('Allow', { exact: true }).waitFor();
      assert.deepEqual(await seriousFaults(page), []);
      // The person's own page has both sides, and their access keys without any secret.
      await visit(page, '/ui/users/-/iris');
      await page.getByRole('region', { name: 'Policies of IAM' }).getByText('NoOpening', { exact: true }).waitFor();
      await page.getByRole('region', { name: 'Roles of the cloud' }).getByText('aerekos:editor').waitFor();
      await page.getByRole('region', { name: 'Access keys' }).getByText('never used').waitFor();
      assert.deepEqual(await seriousFaults(page), []);
      await visit(page, '/ui/access?show=who&does=kms:Decrypt&what=*');
      const may = page.getByRole('table', { name: 'Who may' });
      await may.getByRole('row').filter({ hasText: 'admin' }).first().waitFor();
      assert.equal(await may.getByText('iris').count(), 0);
      await cloud().tell('delete', 'iamuser/iris', 'user/iris');
    }),
  );

  test('a refusal is found again by whom it met, and says why; on a phone too', { skip }, () =>
    journey(
      async (page) => {
        await cloud().apply({ kind: 'User', name: 'otto', spec: { roles: [] } });
        assert.equal(await cloud().askedBy('otto', '/api/v1/namespaces/default/secrets/db'), 403);
        await visit(page, '/ui/access?show=refused');
        const card = page.getByRole('listitem').filter({ hasText: 'otto' });
        await card.getByText('get secrets/db in default').waitFor();
        assert.deepEqual(await seriousFaults(page), []);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'too wide');
        await card.getByRole('button', { name: 'Why' }).click();
        await page.getByTestId('answer').getByText('No', { exact: true }).waitFor();
        await cloud().tell('delete', 'user/otto');
      },
      { width: 390, height: 844, hasTouch: true, isMobile: true },
    ),
  );

  test('a key shows its aliases, its grants, and everybody who may use it', { skip }, () =>
    journey(async (page) => {
      await cloud().apply({ kind: 'Key', name: 'granted', spec: {} });
      const spec = { key: 'granted', grantee: 'arn:aws:iam::000000000000:user/kim', operations: ['Decrypt'] };
      await cloud().apply({ kind: 'KeyGrant', name: 'to-kim', spec });
      await cloud().apply({ kind: 'KeyAlias', name: 'al', spec: { key: 'granted', aliasName: 'alias/al' } });
      await visit(page, '/ui/keys/default/granted');
      const state = page.getByRole('region', { name: 'State' });
      await state.getByText('Enabled').waitFor();
      await state.getByRole('link', { name: 'alias/al' }).waitFor();
      const may = page.getByRole('region', { name: 'Who may use it' });
      await may.getByText('user/kim').waitFor();
      assert.deepEqual(await seriousFaults(page), []);
      await may.getByRole('link', { name: 'Everybody who may' }).click();
      await page
        .getByRole('table', { name: 'Who may' })
        .getByRole('row')
        .filter({ hasText: 'storage-manager' })
        .waitFor();
      await cloud().tell('delete', 'keygrant/to-kim', 'keyalias/al');
    }),
  );

  test('logs arrive live, and search finds the line', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/services/default/key-manager/logs');
      await page.getByText('Following').waitFor();
      await page.getByTestId('log').getByText('the service is up').first().waitFor();
      await page.getByTestId('search').fill('no such line anywhere');
      await page.getByText(/No line holds/).waitFor();
      await page.getByTestId('search').fill('service is up');
      await page.getByTestId('search-log').click();
      await page
        .getByTestId('log-reach')
        .getByText(/[1-9]\d* lines match, of \d+ kept, back to/)
        .waitFor();
      const [saved] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Download' }).click(),
      ]);
      assert.match(readFileSync(await saved.path(), 'utf8'), /service is up/);
    }),
  );

  test('a terminal runs a command in key-manager-0, and the audit log tells of it', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/services/default/key-manager/terminal');
      // Not the default shell: what somebody's .bashrc does first may take long.
      await page.getByTestId('command').fill('sh');
      await page.getByTestId('open-terminal').click();
      await page.getByTestId('terminal-state').getByText('In key-manager-0').waitFor();
      const screen = page.locator('.xterm-rows');
      await screen
        .getByText(/[$#]\s*$/)
        .first()
        .waitFor();
      await page.keyboard.type('echo I am $AEREKOS_INSTANCE; stty size\n');
      await screen.getByText('I am key-manager-0').waitFor();
      // The shell knows how large the page is.
      await screen
        .getByText(/^\d{2} \d{2,3}\s*$/)
        .first()
        .waitFor();
      assert.deepEqual(await seriousFaults(page, '[role="main"]'), []);
      await page.keyboard.press('F6');
      await page.keyboard.press('Enter');
      await page.getByTestId('command').fill('exit 7');
      await page.getByTestId('open-terminal').click();
      await page.getByTestId('terminal-state').getByText('exit code 7').waitFor();
      await visit(page, '/ui/audit');
      const line = page.getByRole('row').filter({ hasText: 'ran a command in' }).first();
      await line.getByText('key-manager-0').waitFor();
    }, STILL),
  );

  test('a screen that cannot be fetched is fetched again, without loading the page anew', { skip }, () =>
    journey(async (page) => {
      await page.route('**/assets/Keys-*.js', (route) => route.abort());
      const failed = page.waitForEvent('requestfailed');
      await visit(page, '/ui/keys');
      await failed;
      await page.unroute('**/assets/Keys-*.js');
      await page.getByRole('heading', { name: 'Keys', level: 1 }).waitFor();
    }),
  );

  test('names are shown as they are written, and a dialog begins with its first field', { skip }, () =>
    journey(async (page) => {
      for (const path of ['', '/yaml', '/history', '/logs']) {
        await visit(page, `/ui/services/default/key-manager${path}`);
        await settled(page);
        assert.deepEqual(await changedNames(page, 'key-manager'), [], path);
      }
      await page.getByTestId('delete').click();
      assert.deepEqual(await changedNames(page, 'key-manager'), []);
      await page.keyboard.type('key-manager');
      assert.ok(await page.getByRole('button', { name: 'Delete it' }).isEnabled());
      await page.keyboard.press('Escape');
    }),
  );

  test('edits that are not applied are asked for, and wait as a draft', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/services/default/storage-manager/yaml');
      const editor = page.getByTestId('yaml');
      await editor.waitFor();
      await editor.fill(`${await editor.inputValue()}# mine`);
      const places = page.getByRole('navigation', { name: 'Main' });
      await places.getByRole('link', { name: 'Keys' }).click();
      await page.getByRole('dialog').getByText('Your edits of storage-manager are not applied').waitFor();
      await page.getByRole('button', { name: 'Stay' }).click();
      await places.getByRole('link', { name: 'Keys' }).click();
      await page.getByRole('button', { name: 'Leave', exact: true }).click();
      await page.getByRole('heading', { name: 'Keys', level: 1 }).waitFor();
      await page.goBack();
      await page.getByTestId('draft').waitFor();
      assert.match(await editor.inputValue(), /# mine/);
      await page.getByRole('button', { name: 'Start over' }).click();
      await places.getByRole('link', { name: 'Keys' }).click();
      await page.getByRole('heading', { name: 'Keys', level: 1 }).waitFor();
    }),
  );

  test('what is searched for and sorted by is in the address', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/services');
      await page.getByTestId('search').fill('key');
      await page.getByRole('radio', { name: 'Ready' }).click();
      await page.getByRole('columnheader', { name: 'Age' }).getByRole('button').click();
      await page.waitForURL('**/ui/services?q=key&show=well&sort=Age');
      await page.getByRole('link', { name: 'key-manager' }).click();
      await page.goBack();
      await page.getByRole('columnheader', { name: 'Age' }).waitFor();
      assert.equal(await page.getByTestId('search').inputValue(), 'key');
      assert.equal(await page.getByRole('table').getByRole('link').count(), 1);
    }),
  );

  test('a new secret begins as plain text without a fault; the palette leads there', { skip }, () =>
    journey(async (page) => {
      await page.keyboard.press('Control+k');
      await page.keyboard.type('new secret');
      await page.getByRole('option', { name: /^New secret/ }).waitFor();
      await page.keyboard.press('Enter');
      const editor = page.getByTestId('yaml');
      await editor.waitFor();
      assert.match(await editor.inputValue(), /stringData:\n  password: change-me/);
      assert.equal(await page.getByTestId('yaml-hint').count(), 0);
      await page.getByTestId('apply').click();
      await page.getByRole('heading', { name: 'my-secret', level: 1 }).waitFor();
      await page.getByTestId('delete').click();
      await page.keyboard.type('my-secret');
      await page.getByRole('button', { name: 'Delete it' }).click();
      await page.getByRole('heading', { name: 'secrets', level: 1 }).waitFor();
    }),
  );

  test('the API explorer asks what this page asks', { skip }, () =>
    journey(async (page) => {
      await visit(page, '/ui/api');
      await page.getByRole('radio', { name: 'workers' }).click();
      await page.getByRole('button', { name: 'Try list' }).click();
      await page.getByTestId('answer').getByText('"kind": "WorkerList"').waitFor();
      await page.getByText('spec.unschedulable').waitFor();
    }),
  );

  test('the topology tells who asks whom, and how often', { skip }, () =>
    journey(async (page, { context }) => {
      const storage = page.getByRole('region', { name: 'Topology' }).getByRole('link', { name: /storage-manager/ });
      await storage.waitFor();
      const login = await context.request.post(`${cloud().url}/auth/login`, {
        data: { username: ADMIN.name, password: ADMIN.password },
      });
      const headers = { authorization: `Bearer ${(await login.json()).accessToken}` };
      let over = false;
      const shown = storage
        .getByTestId('rate')
        .getByText(/[1-9].*\/s/)
        .waitFor()
        .finally(() => (over = true));
      while (!over) {
        await context.request.get(`${cloud().url}/services/storage-manager/`, { headers });
        await page.waitForTimeout(50); // the machine has other things to do
      }
      await shown;
    }),
  );

  test('everything is reachable from the keyboard alone', { skip }, () =>
    journey(async (page) => {
      await page.keyboard.press('g');
      await page.keyboard.press('s');
      await page.getByRole('heading', { name: 'Services', level: 1 }).waitFor();
      await page.getByRole('row').filter({ hasText: 'key-manager' }).waitFor();
      await page.keyboard.press('j');
      await page.keyboard.press('l');
      await page.getByTestId('log').waitFor();
      await page.keyboard.press('e');
      await page.getByTestId('yaml').waitFor();
      await page.keyboard.press('o');
      await page.getByTestId('metrics').waitFor();
      await page.keyboard.press('g');
      await page.keyboard.press('s');
      await page.keyboard.press('/');
      await page.keyboard.type('nothing-like-this');
      await page.getByText('No service matches').waitFor();
      await page.keyboard.press('Control+k');
      await page.getByTestId('palette').waitFor();
      await page.keyboard.type('describe key-manager');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'key-manager', level: 1 }).waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').getByText('Find in this list').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.keyboard.press('Control+k');
      await page.keyboard.type('roll back key-manager');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: /Roll back/ }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }),
  );

  test('a phone shows everything without scrolling sideways', { skip }, () =>
    journey(
      async (page) => {
        for (const path of SCREENS) {
          await visit(page, path);
          await settled(page);
          assert.deepEqual(await tooWide(page), [false, []], `${path} is wider than the phone`);
        }
        assert.equal(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').count(), 4);
        await page.getByRole('button', { name: 'More' }).click();
        await page.getByTestId('palette').fill('users');
        await page.getByRole('option', { name: /Go to Users/ }).click();
        await page.getByRole('heading', { name: 'Users', level: 1 }).waitFor();
      },
      { ...STILL, width: 375, height: 812 },
    ),
  );

  test('a wall of 3840 pixels is filled, and who asks for stillness gets it', { skip }, () =>
    journey(
      async (page) => {
        await page.getByRole('region', { name: 'Topology' }).waitFor();
        const main = await page.getByRole('main').boundingBox();
        assert.ok(main!.width > 3000, `only ${main!.width} px are used`);
        assert.deepEqual(await tooWide(page), [false, []]);
        const moving = await page.evaluate(() => document.getAnimations().length);
        assert.equal(moving, 0);
      },
      { ...STILL, width: 3840, height: 2160 },
    ),
  );

  for (const half of [0, 1]) {
    test(`axe finds nothing serious on any screen (${half + 1} of 2)`, { skip }, () =>
      journey(async (page) => {
        for (const path of SCREENS.filter((_, index) => index % 2 === half)) {
          await visit(page, path);
          await settled(page);
          // The frame is the same everywhere; it is looked at once, with the dialog.
          assert.deepEqual(await seriousFaults(page, '[role="main"]'), [], path);
        }
        // Not in a terminal, which the last screen may be: there, keys belong to the shell.
        await visit(page, '/ui/services');
        await settled(page);
        await page.keyboard.press(half ? '?' : 'Control+k');
        await page.getByRole('dialog').waitFor();
        assert.deepEqual(await seriousFaults(page), [], 'a dialog');
      }, STILL),
    );
  }
}

const SCREENS = [
  '/ui',
  '/ui/services',
  '/ui/workers',
  '/ui/keys',
  '/ui/buckets',
  '/ui/kinds',
  '/ui/api',
  '/ui/audit',
  '/ui/users',
  '/ui/users/-/admin',
  '/ui/access',
  '/ui/access?show=refused',
  '/ui/settings',
  '/ui/k/core/v1/events',
  '/ui/services/default/key-manager',
  '/ui/services/default/key-manager/yaml',
  '/ui/services/default/key-manager/logs',
  '/ui/services/default/key-manager/terminal',
  '/ui/services/default/key-manager/history',
];

/** Whether what is pressed lies above that element, wherever it is. */
function coversNothing(notices: Element): boolean {
  return notices.previousElementSibling!.getBoundingClientRect().bottom <= notices.getBoundingClientRect().top + 1;
}

/** Where that name is drawn in other letters than its own. */
function changedNames(page: import('playwright-core').Page, name: string): Promise<string[]> {
  return page.evaluate(
    (wanted) =>
      [...document.querySelectorAll('body *')]
        .filter((each) =>
          [...each.childNodes].some((child) => child.nodeType === 3 && child.textContent?.includes(wanted)),
        )
        .filter((each) => getComputedStyle(each).textTransform !== 'none')
        .map((each) => each.outerHTML.slice(0, 160)),
    name,
  );
}

/** Whether the page scrolls sideways, and what sticks out of it. */
function tooWide(page: import('playwright-core').Page): Promise<[boolean, string[]]> {
  return page.evaluate(() => {
    const cut = (element: Element): boolean =>
      element.parentElement !== null &&
      (getComputedStyle(element.parentElement).overflowX === 'auto' || cut(element.parentElement));
    const buttons = [...document.querySelectorAll('main button, main a, main input')];
    const outside = buttons
      .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !cut(each))
      .map((each) => each.outerHTML.slice(0, 120));
    return [document.documentElement.scrollWidth > document.documentElement.clientWidth, outside];
  });
}
