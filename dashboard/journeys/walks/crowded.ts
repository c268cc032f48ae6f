/** A page with very much on it stays true and can be used. How fast it is, journeys/speed.ts measures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../browser.ts';
import { Crowd, MANY, PER_SECOND } from '../crowd.ts';
import { journey, settled, skip } from '../house.ts';

const MOST_ROWS = 101; // a head, and a hundred until more are asked for

test(`${MANY} services that change ${PER_SECOND} times a second are searched, and the last word counts`, { skip }, () =>
  journey(async (page) => {
    const crowd = new Crowd(page);
    await crowd.settleIn();
    const sent = await crowd.during(async () => {
      await visit(page, '/ui/services');
      await settled(page);
      await page.getByTestId('search').pressSequentially('service-07', { delay: 40 });
      await page.getByText('service-0700').waitFor();
      await page.getByTestId('search').fill('');
      await page.getByText('service-0001').first().waitFor();
    });
    assert.ok(sent.changes > PER_SECOND);
    const rows = await page.getByRole('row').count();
    assert.ok(rows > 10 && rows <= MOST_ROWS, `of ${MANY} only the first are drawn, not ${rows}`);
    crowd.change(700, 'Degraded');
    await page.getByTestId('search').fill('service-0700');
    await page.getByRole('row', { name: /service-0700.*Degraded/ }).waitFor();
  }),
);
