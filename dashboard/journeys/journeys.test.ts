/**
 * What people do, in a real browser against a real cloud: `node --test journeys/`.
 *
 * AEREKOS: path of the `aerekos` command. One cloud for all; every journey leaves it as it was. What changes the verdict
 * goes one after the other, what only looks goes side by side.
 */
import { after, before, describe } from 'node:test';

import { closeBrowser } from './browser.ts';
import { endCloud, skip, startCloud } from './house.ts';

before(async () => {
  if (!skip) await startCloud();
});
after(async () => {
  await closeBrowser();
  await endCloud();
});

await import('./walks/entering.ts');
await import('./walks/services.ts');
await import('./walks/careful.ts');
await import('./walks/machines.ts');
await import('./walks/secrets.ts');
const { lookingWalks } = await import('./walks/looking.ts');
const { messageWalks } = await import('./walks/messages.ts');
describe('side by side', { concurrency: 3 }, () => {
  lookingWalks();
  messageWalks();
});
await import('./walks/truth.ts');
await import('./walks/crowded.ts');
