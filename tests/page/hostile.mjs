// What an article says is text: nothing of it runs, nothing that it names is fetched.
import { ask, assert, base, end, on } from './lib.mjs';

const untouched = async (page) => {
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.equal(await page.locator('main img, main iframe, main script, main object, main svg').count(), 0);
  assert.equal(await page.locator('a[href^="javascript" i], a[href^="data" i], [onerror], [onmouseover], [style]:not(.card)').count(), 0);
};

for (const javaScriptEnabled of [true, false]) {
  await on(`hostile articles, ${javaScriptEnabled ? 'with' : 'without'} a script`, { javaScriptEnabled, start: new URL('/articles?q=canary', base).href }, async (page) => {
    const titles = await page.locator('.articles a').allTextContents();
    assert.ok(titles.some((title) => title.includes('<img src=x onerror=owned=1>')), titles.join('\n'));
    for (const link of await page.locator('.articles a').evaluateAll((all) => all.map((one) => one.href))) {
      await page.goto(link);
      const text = await page.locator('.article').innerText();
      assert.match(text, /canary/i);
      await page.waitForTimeout(100);
      if (javaScriptEnabled) await untouched(page);
    }
    const all = [];
    for (const mode of ['search', 'quotes']) {
      await page.goto(new URL(`/?q=${encodeURIComponent('Which canary sings in the harbour?')}&mode=${mode}`, base).href);
      all.push(await page.locator('main').innerText());
      if (javaScriptEnabled) await untouched(page);
    }
    const said = all.join('\n');
    for (const seen of ['<|im_start|>', '\\u{202e}', '\\u{1b}[31m', '<script>owned=1</script>']) {
      assert.ok(said.includes(seen), `${seen} is not to be seen in ${said}`);
    }
    for (const obeyed of ['\u202e', '\u001b']) assert.ok(!said.includes(obeyed));
  });
}

await on('hostile answers', {}, async (page) => {
  const turn = await ask(page, 'Which canary sings in the harbour?');
  await untouched(page);
  assert.ok(!(await page.locator('main').innerText()).includes('\u202e'));
  const cites = turn.locator('a.cite');
  for (const link of await cites.all()) {
    await link.hover();
    await page.locator('#card').waitFor();
    await untouched(page);
    await link.click();
    await page.locator('.pane .article').waitFor();
    await page.waitForTimeout(100);
    await untouched(page);
  }
  const found = await ask(page, 'canary harbour', 'search');
  const links = found.locator('a.open');
  for (const link of await links.all()) {
    await link.click();
    await page.waitForTimeout(150);
    await untouched(page);
  }
  assert.match(await found.innerText(), /<script>owned=1<\/script>/);
});

await on('a link that is not one to the web is shown and is none', { start: new URL('/articles?q=canary', base).href }, async (page) => {
  const links = await page.locator('.articles a').evaluateAll((all) => all.map((one) => one.href));
  for (const link of links) {
    await page.goto(link);
    for (const href of await page.locator('.article a').evaluateAll((all) => all.map((one) => one.getAttribute('href')))) {
      assert.match(href, /^(https?:\/\/|\/|#)/);
    }
  }
});

await end();
