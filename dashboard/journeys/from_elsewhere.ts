/**
 * Logs in as a person on another machine does: by address, in a browser that knows the cloud's CA and forgives nothing.
 *
 *     node journeys/from_elsewhere.ts URL USER PASSWORD      HOME: a folder with .pki/nssdb
 *
 * Prints who vouched for the page. Ends with 1 when the browser warns, or the login does not work.
 */
import { chromium } from 'playwright-core';

import { chromiumPath, FLAGS } from './browser.ts';

const [url, user, password] = process.argv.slice(2) as [string, string, string];
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: FLAGS,
  env: { ...process.env },
});
try {
  const page = await (await browser.newContext({ ignoreHTTPSErrors: false })).newPage();
  const answer = await page.goto(url, { timeout: 60_000 });
  const proof = await answer!.securityDetails();
  await page.getByTestId('username').fill(user);
  await page.getByTestId('password').fill(password);
  await page.getByTestId('enter').click();
  await page.getByTestId('sign-out').waitFor({ timeout: 60_000 });
  await page.reload();
  await page.getByTestId('sign-out').waitFor({ timeout: 60_000 });
  console.log(JSON.stringify({ issuer: proof?.issuer, title: await page.title() }));
} finally {
  await browser.close();
}
