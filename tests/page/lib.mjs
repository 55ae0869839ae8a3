// What the browser's tests share: a page that records what goes wrong and what is fetched.
import { strict as assert } from 'node:assert';
import { chromium } from 'playwright-core';

export { assert };
export const base = process.env.WELLREAD_PAGE;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox'],
});

/** Runs steps on a page of its own; anything said on the console, thrown, or fetched elsewhere fails. */
export async function on(name, options, steps) {
  const { width = 1440, height = 900, dark = false, tolerate = /^$/, start = base, ...rest } = options;
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', hasTouch: width < 500, reducedMotion: 'reduce', ...rest,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const wrong = [];
  page.on('console', (message) => {
    const said = `${message.type()}: ${message.text()}`;
    if (['error', 'warning'].includes(message.type()) && !tolerate.test(said)) wrong.push(said);
  });
  page.on('pageerror', (error) => wrong.push(`thrown: ${error.message}`));
  page.on('dialog', (dialog) => { wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(start).origin) wrong.push(`fetched: ${url}`);
  });
  try {
    await page.goto(start);
    await steps(page);
    assert.deepEqual(wrong, []);
  } catch (error) {
    console.error(`✗ ${name}\n${error.stack}\n${wrong.join('\n')}`);
    process.exitCode = 1;
  } finally {
    await context.close();
  }
}

/** Asks a question and waits for what comes of it. */
export async function ask(page, question, mode = 'quotes') {
  await page.locator(`input[name=mode][value=${mode}]`).check({ force: true });
  await page.fill('#q', question);
  const before = await page.locator('.turn').count();
  await page.press('#q', 'Enter');
  const turn = page.locator('.turn').nth(before);
  await turn.locator('.foot, .hits, .notice').first().waitFor({ timeout: 120_000 });
  return turn;
}

/** The text that a link to a citation names, out of the API. */
export async function cited(page, link) {
  const url = new URL(await link.getAttribute('href'), page.url());
  const [from, to] = ['from', 'to'].map((name) => Number(url.searchParams.get(name)));
  const text = `/api${url.pathname}/text?document=${url.searchParams.get('document')}`;
  const response = await page.request.get(new URL(text, page.url()).href);
  assert.equal(response.status(), 200);
  return Buffer.from((await response.json()).text, 'utf8').subarray(from, to).toString('utf8');
}

export const end = () => browser.close();
