// No page has what axe-core finds fault with, in either theme, at three widths.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ask, assert, base, end, on } from './lib.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function check(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `  ${node.target} ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(said, [], what);
}

for (const dark of [false, true]) {
  for (const width of [390, 768, 1440]) {
    const look = { width, height: 900, dark, tolerate: /status of (400|404)/ };
    await on(`axe ${width} ${dark ? 'dark' : 'light'}`, look, async (page) => {
      await page.locator('.filters summary').click();
      await check(page, 'the form');
      const turn = await ask(page, 'How many hours did the boat take in all?');
      await turn.getByRole('button', { name: 'Good' }).click();
      await turn.locator('.note').waitFor();
      await turn.locator('a.cite').first().hover();
      await check(page, 'an answer');
      await turn.locator('a.cite').first().click();
      await page.locator('.pane #cited').waitFor();
      await check(page, 'an article beside');
      await page.keyboard.press('Escape');
      await ask(page, 'oil and varnish', 'search');
      await ask(page, 'Who won the 1998 football world cup in France?');
      await page.locator('.history summary').click();
      await check(page, 'a conversation');
      for (const path of ['/articles', '/articles?since=2025-01-01&q=zzz', '/status', '/nothing', '/?q=hours&mode=search', '/?q=hours', '/?q=hours&author=Jorun']) {
        await page.goto(new URL(path, base).href);
        await check(page, path);
      }
      await page.goto(new URL('/articles?q=floats', base).href);
      await page.locator('.articles a').first().click();
      await page.locator('.article').waitFor();
      await check(page, 'an article');
    });
    await on(`axe ${width} ${dark ? 'dark' : 'light'}, nothing there yet`, { ...look, start: process.env.WELLREAD_EMPTY }, async (page) => {
      for (const path of ['/', '/articles', '/status']) {
        await page.goto(new URL(path, process.env.WELLREAD_EMPTY).href);
        await check(page, `${path} without articles`);
      }
    });
  }
}
await end();
