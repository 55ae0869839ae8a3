// Ask, read what is cited, follow up, judge.
import { ask, assert, base, cited, end, on } from './lib.mjs';

const hours = 'How many hours did the boat take in all?';
const marks = (pane) => pane.locator('mark').evaluateAll((all) => all.map((one) => one.textContent).join(''));

await on('a click on a citation opens the article with the passage marked', {}, async (page) => {
  const turn = await ask(page, hours);
  const links = turn.locator('a.cite');
  assert.ok(await links.count() > 0);
  for (const link of await links.all()) {
    await link.click();
    const pane = page.locator('dialog.pane[open]');
    await pane.locator('#cited').waitFor();
    const wanted = await cited(page, link);
    await page.waitForFunction((text) => [...document.querySelectorAll('.pane mark')].map((one) => one.textContent).join('') === text, wanted);
    assert.ok(wanted.length > 10);
    const box = await pane.locator('#cited').boundingBox();
    assert.ok(box.y > 0 && box.y < 900, 'the passage is in view');
  }
  await page.locator('.pane [data-do=close]').click();
  assert.equal(await page.locator('dialog.pane[open]').count(), 0);
  const sources = turn.locator('.sources a');
  await sources.first().click();
  await page.locator('.pane .passage').first().waitFor();
});

await on('ranges are bytes, whatever the letters', {}, async (page) => {
  const turn = await ask(page, 'When does the ferry to Ærøskøbing leave?');
  const link = turn.locator('a.cite').first();
  const wanted = await cited(page, link);
  assert.match(wanted, /^The ferry to Ærøskøbing leaves at 07:45 — “sharp” 🚢 — from pier nine\. It returns at dusk\.$/u);
  await link.hover();
  const card = page.locator('#card');
  await card.waitFor();
  assert.equal(await card.locator('mark').textContent(), wanted);
  assert.match(await card.textContent(), /Timetables 🚢/u);
  await link.click();
  await page.locator('.pane #cited').waitFor();
  assert.equal(await marks(page.locator('.pane')), wanted);
  const found = await ask(page, 'ferry Ærøskøbing', 'search');
  const hit = found.locator('.hits li').first();
  assert.match(await hit.locator('mark').textContent(), /^The ferry to Ærøskøbing leaves at 07:45 — “sharp” 🚢 — from pier nine\.$/u);
});

await on('a range that cannot be placed marks nothing', {}, async (page) => {
  const turn = await ask(page, hours);
  const link = turn.locator('a.cite').first();
  const href = await link.getAttribute('href');
  await link.evaluate((one, to) => one.setAttribute('href', to), href.replace(/from=\d+&to=\d+/, 'from=900000&to=900010'));
  await link.click();
  await page.locator('.pane .notice').waitFor();
  assert.equal(await page.locator('.pane mark').count(), 0);
});

await on('the keyboard does it all', {}, async (page) => {
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
  await page.locator('input[name=mode][value=answer]').focus();
  await page.keyboard.press('ArrowRight');
  assert.ok(await page.locator('input[name=mode][value=quotes]').isChecked());
  await page.focus('#q');
  await page.keyboard.type(hours);
  await page.keyboard.press('Enter');
  await page.locator('.foot').waitFor();
  const isCite = () => page.evaluate(() => document.activeElement.matches('a.cite'));
  for (let at = 0; at < 30 && !await isCite(); at += 1) await page.keyboard.press('Shift+Tab');
  assert.ok(await isCite(), 'a citation can be reached');
  await page.locator('#card').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-describedby')), 'card');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#card').count(), 0);
  await page.keyboard.press('Enter');
  await page.locator('.pane #cited').waitFor();
  await page.waitForFunction(() => document.activeElement.id === 'cited');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('dialog.pane[open]').count(), 0);
  assert.ok(await isCite(), 'the focus is back where it was');
});

await on('a phone shows the article over the page, and goes back', { width: 390, height: 844 }, async (page) => {
  const turn = await ask(page, hours);
  await turn.locator('a.cite').first().click();
  const pane = page.locator('dialog.pane[open]');
  await pane.locator('#cited').waitFor();
  const box = await pane.boundingBox();
  assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 390, 844]);
  await page.goBack();
  await pane.waitFor({ state: 'hidden' });
  assert.equal(new URL(page.url()).pathname, '/');
  for (const path of ['/', '/articles', '/status']) {
    await page.goto(new URL(path, base).href);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is too wide`);
  }
});

await on('an article stays open while the window changes its width, and is closed once', { width: 390, height: 844 }, async (page) => {
  const turn = await ask(page, hours);
  await turn.locator('a.cite').first().click();
  const pane = page.locator('dialog.pane[open]');
  await pane.locator('#cited').waitFor();
  for (const [width, isOver] of [[1440, false], [390, true]]) {
    await page.setViewportSize({ width, height: 844 });
    await page.waitForFunction((wanted) => document.querySelector('dialog.pane').matches(':modal') === wanted, isOver);
    // What was to be heard of its closing has been.
    await page.waitForTimeout(200);
    assert.ok(await pane.locator('#cited').isVisible());
    assert.equal(await page.locator('body.beside').count(), isOver ? 0 : 1);
    assert.equal(await turn.locator('a.cite.current').count(), 1);
  }
  await page.goBack();
  await pane.waitFor({ state: 'hidden' });
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => history.state), null);
  assert.equal(await page.locator('.turn').count(), 1);
});

await on('a conversation is kept, sent along, and begun anew', {}, async (page) => {
  await ask(page, hours);
  const request = page.waitForRequest((one) => one.url().endsWith('/api/ask'));
  await ask(page, 'And what did it cost?');
  const { turns } = (await request).postDataJSON();
  assert.equal(turns.length, 1);
  assert.equal(turns[0].question, hours);
  assert.ok(turns[0].answer.length > 10 && turns[0].titles.length > 0);
  await page.reload();
  assert.equal(await page.locator('.turn').count(), 2);
  assert.equal(await page.locator('.history summary').textContent(), '2 questions');
  assert.ok(await page.locator('.turn').first().locator('a.cite').count() > 0);
  await page.getByRole('button', { name: 'New conversation' }).click();
  assert.equal(await page.locator('.turn').count(), 0);
  await page.reload();
  assert.equal(await page.locator('.turn').count(), 0);
});

await on('a verdict and its note are kept', {}, async (page) => {
  const turn = await ask(page, hours);
  await turn.getByRole('button', { name: 'Bad' }).click();
  await turn.locator('.note input').fill('it is the wrong boat');
  const request = page.waitForRequest((one) => one.url().endsWith('/api/feedback'));
  await turn.getByRole('button', { name: 'Keep note' }).click();
  const sent = (await request).postDataJSON();
  assert.equal(sent.verdict, 'bad');
  assert.equal(sent.note, 'it is the wrong boat');
  await turn.getByText('Kept with your note.').waitFor();
});

await on('a verdict that is not kept says why', { tolerate: /status of 404/ }, async (page) => {
  const turn = await ask(page, hours);
  await turn.getByRole('button', { name: 'Good' }).click();
  const note = turn.locator('.note input');
  await note.fill('🙂'.repeat(2001));
  assert.ok(!await note.evaluate((input) => input.validity.valid));
  await note.fill('🙂'.repeat(2000));
  assert.ok(await note.evaluate((input) => input.validity.valid));
  await page.route('**/api/feedback', (route) => route.fulfill({
    status: 404, headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ error: { kind: 'not_found', message: 'there is no kept answer 7', steps: [] } }),
  }));
  await turn.getByRole('button', { name: 'Keep note' }).click();
  await turn.getByText('there is no kept answer 7').waitFor();
  assert.equal(await note.count(), 1);
});

await on('what is left out is counted on, and keeps the focus', {}, async (page) => {
  const seen = await page.evaluate(() => {
    const turn = new Turn('Why?', 99);
    document.getElementById('thread').append(turn.box);
    turn.dropped({ text: 'One.', why: { reason: 'repeated' } });
    const summary = turn.rest.querySelector('summary');
    summary.focus();
    turn.rest.querySelector('details').open = true;
    turn.dropped({ text: 'Two.', why: { reason: 'repeated' } });
    const { textContent, parentElement } = summary;
    return [document.activeElement === summary, parentElement.open, textContent, turn.rest.querySelectorAll('li').length];
  });
  assert.deepEqual(seen, [true, true, '2 sentences were left out', 2]);
});

await on('the LLM answers in sentences that are cited, and can be stopped', {}, async (page) => {
  const turn = await ask(page, 'How long was each rib steamed?', 'answer');
  await turn.locator('.said').waitFor();
  assert.ok(await turn.locator('.sources li, .abstained').count() > 0);
  await page.locator('input[name=mode][value=answer]').check({ force: true });
  await page.fill('#q', 'Which oil was used?');
  // Held back, so that there is something to stop.
  await page.route('**/api/ask', () => {});
  await page.press('#q', 'Enter');
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.turn').last().getByText('Stopped.').waitFor();
  await page.getByRole('button', { name: 'Ask', exact: true }).waitFor();
});

await on('what the articles do not say is said', {}, async (page) => {
  const turn = await ask(page, 'Who won the 1998 football world cup in France?');
  await turn.getByText('The articles don’t say.').waitFor();
  assert.ok(await turn.locator('.nearest li').count() > 0);
});

await on('filters filter, and a wrong one is said', {}, async (page) => {
  await page.locator('.filters summary').click();
  await page.fill('#f-since', '2025-06-01');
  const turn = await ask(page, 'boat', 'search');
  const dates = await turn.locator('.hits time').allTextContents();
  assert.ok(dates.length > 0 && dates.every((date) => /(Jun|Jul) 2025/.test(date)), dates.join());
});

await on('a wrong filter names what is near', { tolerate: /status of 400/ }, async (page) => {
  await page.locator('.filters summary').click();
  await page.fill('#f-author', 'Jorun Aas');
  const turn = await ask(page, 'boat', 'search');
  assert.match(await turn.locator('.notice').textContent(), /Jorun Aas.*Jorunn Aas/s);
});

await on('articles are found and read, each section by its link', { start: new URL('/articles', base).href }, async (page) => {
  await page.fill('#q', 'floats');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('link', { name: 'She floats' }).click();
  await page.getByRole('heading', { level: 1, name: 'She floats' }).waitFor();
  assert.equal(await page.locator('.text th').count(), 2);
  await page.locator('.contents summary').click();
  await page.locator('.contents a', { hasText: 'Money' }).click();
  assert.match(page.url(), /#sec-money$/);
  const box = await page.getByRole('heading', { name: /^Money/ }).boundingBox();
  assert.ok(box.y >= 50 && box.y < 300, `the heading is at ${box.y}`);
});

await end();
