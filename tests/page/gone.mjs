// What fails is said, and what can be done.
import { ask, assert, base, end, on } from './lib.mjs';

const unreachable = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE/;
const mortal = process.env.WELLREAD_MORTAL;

await on('a full queue', { tolerate: /status of 503/ }, async (page) => {
  await page.route('**/api/ask', (route) => route.fulfill({
    status: 503, headers: { 'Retry-After': '5', 'Content-Type': 'application/json' },
    body: JSON.stringify({ error: { kind: 'locked', message: 'too many answers are wanted', steps: [] } }),
  }));
  const turn = await ask(page, 'Anybody there?', 'answer');
  assert.match(await turn.locator('.notice').innerText(), /busy.*Try again in 5 seconds/s);
  await page.unroute('**/api/ask');
  await page.locator('input[name=mode][value=quotes]').check({ force: true });
  await turn.getByRole('button', { name: 'Ask again' }).click();
  await page.locator('.turn .foot, .turn .notice').first().waitFor();
  assert.equal(await page.locator('.turn').count(), 1);
});

await on('an answer that fails on its way', {}, async (page) => {
  await page.route('**/api/ask', (route) => route.fulfill({
    headers: { 'Content-Type': 'text/event-stream' },
    body: 'event: error\ndata: {"error":{"kind":"model","message":"the model file is broken","steps":["check the files of the models"]}}\n\n',
  }));
  const turn = await ask(page, 'Anybody there?', 'answer');
  assert.match(await turn.locator('.notice').innerText(), /model file is broken.*check the files/is);
});

await on('no articles yet', { start: process.env.WELLREAD_EMPTY }, async (page) => {
  assert.match(await page.locator('main').innerText(), /no articles yet/);
  assert.equal(await page.locator('#ask').count(), 0);
});

await on('the server is gone', { start: mortal, tolerate: unreachable }, async (page) => {
  const turn = await ask(page, 'How many hours did the boat take in all?');
  const link = turn.locator('a.cite').first();
  process.kill(Number(process.env.WELLREAD_MORTAL_PID), 'SIGKILL');
  await page.waitForTimeout(300);
  const next = await ask(page, 'Anybody there?', 'answer');
  assert.match(await next.locator('.notice').innerText(), /can’t be reached.*wellread serve/s);
  await next.getByRole('button', { name: 'Ask again' }).waitFor();
  await link.click();
  await page.locator('.pane .notice').waitFor();
  assert.match(await page.locator('.pane .notice').innerText(), /can’t be reached/);
  assert.ok(await turn.locator('.sentence').count() > 0, 'what was there stays');
});

await end();
