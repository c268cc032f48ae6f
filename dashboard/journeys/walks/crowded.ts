/** A page with very much on it stays true and can be used, on a slow machine too. How fast, journeys/speed.ts tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../browser.ts';
import { Crowd, Machines, MANY, PER_SECOND } from '../crowd.ts';
import { journey, settled, skip } from '../house.ts';

const MOST_ROWS = 101; // a head, and a hundred until more are asked for
/** Times slower than this machine: drawing takes longer than changes leave between them, and must end all the same. */
const SLOWER = 4;

test(`${MANY} services that change ${PER_SECOND} times a second are searched, and the last word counts`, { skip }, () =>
  journey(async (page, { context }) => {
    const crowd = new Crowd(page);
    await crowd.settleIn();
    const tools = await context.newCDPSession(page);
    await tools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
    const sent = await crowd.during(async () => {
      await visit(page, '/ui/services');
      await settled(page);
      await page.getByTestId('search').pressSequentially('service-07', { delay: 40 });
      await page.getByText('service-0700').waitFor();
      await page.getByTestId('search').fill('');
      await page.getByText(`Show more (${MANY - MOST_ROWS + 1})`).waitFor();
    });
    assert.ok(sent.changes > PER_SECOND);
    // They are drawn in steps, and the button is there from the first.
    const rows = page.getByRole('row');
    await rows.nth(MOST_ROWS - 1).waitFor();
    assert.equal(await rows.count(), MOST_ROWS, `of ${MANY} only the first are drawn`);
    crowd.change(700, 'Degraded');
    await page.getByTestId('search').fill('service-0700');
    await page.getByRole('row', { name: /service-0700.*Degraded/ }).waitFor();
  }),
);

test(`${MANY} machines beat every second, and the page goes on`, { skip }, () =>
  journey(async (page) => {
    const machines = new Machines(page);
    await machines.settleIn();
    await machines.during(async () => {
      await visit(page, '/ui/workers');
      await settled(page);
      await page.getByTestId('search').pressSequentially('machine-099');
      const last = page.getByRole('row', { name: /machine-0999/ });
      await last.getByText(/^[01] s ago/).waitFor();
      // Beats are live: what it uses is another amount each second.
      await last.getByText('1.0 / 8.0').waitFor();
      await last.getByText('5.0 / 8.0').waitFor();
    });
  }),
);
