// The page's script: answers as they are written, cards of citations, the cited article beside.
// Text of articles is put in as text, never as markup; nothing is asked of any other host.
'use strict';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text with the characters that a browser obeys (controls, direction, invisible) made visible. */
function shown(text) {
  const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/gu;
  return text.replace(obeyed, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

/** A text in three at a range of UTF-8 bytes; null if that is no range of it. */
function cut(text, start, end) {
  const bytes = encoder.encode(text);
  if (!(start >= 0 && start < end && end <= bytes.length)) return null;
  try {
    return [bytes.subarray(0, start), bytes.subarray(start, end), bytes.subarray(end)].map((part) => decoder.decode(part));
  } catch {
    return null;
  }
}

/** The same with only the words around the middle. */
function excerpt(text, start, end) {
  const parts = cut(text, start, end);
  if (!parts) return null;
  const around = 160;
  let [before, cited, after] = parts;
  // No more than the paragraph, list or table that it stands in.
  before = before.slice(before.lastIndexOf('\n\n') + 1).trimStart();
  after = after.split('\n\n', 1)[0];
  if (before.length > around) before = '…' + before.slice(-around).replace(/^\S*/u, '');
  if (after.length > around) after = after.slice(0, around).replace(/\S*$/u, '').trimEnd() + '…';
  return [before, cited, after];
}

function day(time) {
  if (!time) return '';
  const at = new Date(time);
  const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  return `${at.getUTCDate()} ${months[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
}

/** An element; strings among its children are text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false && value !== null) element.setAttribute(key, value === true ? '' : value);
  }
  for (const child of children.flat()) {
    if (child) element.append(typeof child === 'string' ? shown(child) : child);
  }
  return element;
}

function place(article, document, [from, to], isPassage) {
  const whole = isPassage ? '&as=passage' : '';
  return `/articles/${encodeURIComponent(article)}?document=${encodeURIComponent(document)}&from=${from}&to=${to}${whole}#cited`;
}

/** Characters of a note at the most; the server counts them as code points, too. */
const longestNote = 2000;
const modes = { answer: 'Answer', quotes: 'Quotes', search: 'Search only' };
const reasons = {
  nothing_found: 'Nothing in them is about this.',
  low_confidence: 'No section is near enough to the question.',
  declined: 'The nearest sections don’t answer the question.',
  unsupported: 'What was written could not be found in the nearest sections.',
};

function whyDropped({ reason, missing }) {
  switch (reason) {
    case 'declines': return 'It says that the passages don’t answer.';
    case 'repeated': return 'It was said before.';
    case 'unfinished': return 'It is not a whole sentence.';
    case 'leaning': return 'It depends on a sentence that was left out.';
  }
  switch (missing?.missing) {
    case 'figure': return `No passage has the figure ${missing.what}.`;
    case 'name': return `No passage has the name ${missing.what}.`;
    case 'negation': return 'The passage says the opposite.';
    case 'subject': return 'It says something other than what was asked.';
    case 'figure_asked': return 'It does not give the figure that is asked for.';
    case 'odds': return 'The LLM itself doubts that the passages say this.';
    case 'content': return 'It says nothing.';
    default: return 'No passage says this.';
  }
}

// ── Cards ────────────────────────────────────────────────────────────────────────────────────────

const cards = (() => {
  let card = null;
  let link = null;
  let timer = 0;

  function hide() {
    clearTimeout(timer);
    if (!card) return;
    card.remove();
    link.removeAttribute('aria-describedby');
    card = link = null;
  }

  function show(to) {
    clearTimeout(timer);
    if (link === to) return;
    hide();
    const { title, heading, date, before, cited, after } = to.dataset;
    if (!title) return;
    link = to;
    card = make('div', { class: 'card', id: 'card', role: 'tooltip' },
      make('p', { class: 'title', dir: 'auto' }, title),
      make('p', { class: 'meta' }, heading && make('span', { dir: 'auto' }, heading), ' ', date && make('time', {}, date)),
      cited && make('p', { class: 'excerpt', dir: 'auto' }, before, make('mark', {}, cited), after));
    card.addEventListener('pointerenter', () => clearTimeout(timer));
    card.addEventListener('pointerleave', soon);
    document.querySelector('main').append(card);
    link.setAttribute('aria-describedby', 'card');
    const at = link.getBoundingClientRect();
    const size = card.getBoundingClientRect();
    const left = Math.min(Math.max(16, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - 16);
    const isBelow = at.bottom + size.height + 12 < innerHeight || at.top < size.height + 12;
    card.style.left = `${Math.max(16, left)}px`;
    card.style.top = `${isBelow ? at.bottom + 8 : at.top - size.height - 8}px`;
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(hide, 220);
  }

  const cite = (event) => event.target instanceof Element ? event.target.closest('a.cite') : null;
  document.addEventListener('pointerover', (event) => {
    const to = cite(event);
    if (to && event.pointerType !== 'touch') show(to);
  });
  document.addEventListener('pointerout', (event) => { if (cite(event)) soon(); });
  document.addEventListener('focusin', (event) => {
    const to = cite(event);
    if (to && to.matches(':focus-visible')) show(to); else hide();
  });
  addEventListener('scroll', hide, { passive: true });
  return { hide, isOpen: () => card !== null };
})();

// ── The article beside ───────────────────────────────────────────────────────────────────────────

const pane = (() => {
  const desk = document.querySelector('.desk');
  const wide = matchMedia('(min-width: 64rem)');
  let dialog = null;
  let opener = null;
  let turn = 0;
  let inHistory = false;

  function build() {
    const close = make('button', { type: 'button', class: 'quiet', 'data-do': 'close' }, 'Close');
    dialog = make('dialog', { class: 'pane', 'aria-label': 'Article' },
      make('div', { class: 'bar' }, make('p', { class: 'meta' }), close),
      make('div', { class: 'inside' }));
    close.addEventListener('click', hide);
    dialog.addEventListener('close', closed);
    desk.append(dialog);
  }

  function appear() {
    if (dialog.open) return;
    if (wide.matches) {
      document.body.classList.add('beside');
      dialog.show();
    } else {
      dialog.showModal();
      history.pushState({ pane: true }, '');
      inHistory = true;
    }
  }

  function hide() {
    if (dialog?.open) dialog.close();
  }

  /** Leaves the entry of the browser's history that a pane over the page has. */
  function forget() {
    if (!inHistory) return;
    inHistory = false;
    history.back();
  }

  function closed() {
    // It has appeared again before this was heard.
    if (dialog.open) return;
    turn += 1;
    document.body.classList.remove('beside');
    document.querySelector('.current')?.classList.remove('current');
    forget();
    opener?.focus({ preventScroll: true });
    cards.hide();
  }

  addEventListener('popstate', () => {
    if (!inHistory) return;
    inHistory = false;
    hide();
  });
  wide.addEventListener('change', () => {
    if (!dialog?.open) return;
    hide();
    document.body.classList.remove('beside');
    forget();
    appear();
  });

  async function open(link) {
    if (!dialog) build();
    const mine = (turn += 1);
    opener = link;
    document.querySelector('.current')?.classList.remove('current');
    link.classList.add('current');
    cards.hide();
    const inside = dialog.querySelector('.inside');
    const name = dialog.querySelector('.bar p');
    let content;
    try {
      const response = await fetch(link.getAttribute('href').split('#')[0], { headers: { Accept: 'text/html' } });
      const read = new DOMParser().parseFromString(await response.text(), 'text/html');
      content = read.querySelector('.article') ?? read.querySelector('.notice')
        ?? notice('The article can’t be shown.', [`The server answered ${response.status}.`]);
    } catch {
      content = notice('wellread can’t be reached.', ['It may have been stopped. Start it again, then open the article again.']);
    }
    if (mine !== turn) return;
    inside.replaceChildren(document.adoptNode(content));
    const title = inside.querySelector('h1')?.textContent ?? 'Article';
    name.textContent = title;
    dialog.setAttribute('aria-label', title);
    inside.querySelector('a.whole')?.setAttribute('href', link.getAttribute('href'));
    appear();
    dialog.scrollTop = 0;
    const cited = inside.querySelector('#cited');
    if (cited) {
      cited.scrollIntoView({ block: 'center' });
      cited.focus({ preventScroll: true });
    } else {
      dialog.querySelector('[data-do=close]').focus();
    }
  }

  if (document.body.classList.contains('ask')) {
    document.addEventListener('click', (event) => {
      const link = event.target instanceof Element ? event.target.closest('a.cite, a.open') : null;
      if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      open(link);
    });
  }
  return { hide, isOpen: () => Boolean(dialog?.open) };
})();

function notice(what, lines, again) {
  return make('div', { class: 'notice', role: 'alert' },
    make('p', { class: 'what' }, what),
    lines.map((line) => make('p', {}, line)),
    again && again());
}

// ── Drawing answers ──────────────────────────────────────────────────────────────────────────────

function where(passage) {
  return make('span', { class: 'where' },
    make('span', { class: 'title', dir: 'auto' }, passage.title || 'Untitled'),
    passage.heading_path.length > 0 && [' ', make('span', { class: 'heading', dir: 'auto' }, passage.heading_path.join(' › '))],
    passage.published && [' ', make('time', { class: 'date' }, day(passage.published))]);
}

function sourceItem(passage) {
  return make('li', { 'data-n': String(passage.n) },
    make('a', { class: 'open', href: place(passage.article_id, passage.document, passage.range, true) },
      make('span', { class: 'n' }, String(passage.n)), ' ', where(passage)));
}

function citation(n, range, passages) {
  const passage = passages.find((one) => one.n === n);
  if (!passage) return null;
  const [start, end] = range ?? passage.range;
  const parts = range && excerpt(passage.text, start - passage.range[0], end - passage.range[0]);
  const [before, cited, after] = (parts ?? ['', '', '']).map(shown);
  return make('a', {
    class: 'cite',
    href: place(passage.article_id, passage.document, [start, end], !range),
    'aria-label': `Source ${n}: ${shown(passage.title)}`,
    'data-title': shown(passage.title || 'Untitled'),
    'data-heading': shown(passage.heading_path.join(' › ')),
    'data-date': day(passage.published),
    'data-before': before, 'data-cited': cited, 'data-after': after,
  }, String(n));
}

function hitItem(hit) {
  const parts = hit.matching && excerpt(hit.text, ...hit.matching);
  // A hit may repeat a table's header before the text of its range.
  const offset = hit.range[1] - encoder.encode(hit.text).length;
  const isPlaced = parts && offset + hit.matching[0] >= hit.range[0];
  const range = isPlaced ? hit.matching.map((at) => offset + at) : hit.range;
  return make('li', {},
    make('h3', {}, make('a', { class: 'open', dir: 'auto', href: place(hit.article_id, hit.document, range, !isPlaced) }, hit.title || 'Untitled')),
    make('p', { class: 'meta' },
      hit.heading_path.length > 0 && make('span', { dir: 'auto' }, hit.heading_path.join(' › ')), ' ',
      hit.published && make('time', {}, day(hit.published)), ' ',
      hit.authors.length > 0 && make('span', { dir: 'auto' }, hit.authors.join(', '))),
    make('p', { class: 'excerpt', dir: 'auto' }, parts ? [parts[0], make('mark', {}, parts[1]), parts[2]] : hit.text));
}

/** One question with what comes of it. */
class Turn {
  constructor(question, number) {
    this.question = question;
    this.passages = [];
    this.said = 0;
    this.before = '';
    this.heading = make('h2', { class: 'question', id: `question-${number}`, dir: 'auto', tabindex: '-1' }, question);
    this.sources = make('ol', { class: 'sources', 'aria-label': 'Sources', hidden: true });
    this.answer = make('div', { class: 'said', 'aria-live': 'polite', dir: 'auto', hidden: true });
    this.status = make('p', { class: 'waiting', role: 'status', hidden: true });
    this.rest = make('div', { class: 'rest' });
    this.box = make('section', { class: 'turn', 'aria-labelledby': this.heading.id },
      this.heading, this.sources, this.answer, this.status, this.rest);
    this.left = 0;
  }

  wait(text) {
    this.status.hidden = false;
    this.status.textContent = text;
  }

  standalone(text) {
    if (this.isRewritten || !text || text === this.question) return;
    this.isRewritten = true;
    this.heading.after(make('p', { class: 'standalone' }, 'Searched for ', make('q', { dir: 'auto' }, text)));
  }

  show(passages) {
    this.passages = passages;
    const most = 8;
    const items = passages.map(sourceItem);
    this.sources.replaceChildren(...items.slice(0, most));
    if (items.length > most) {
      const more = make('button', { type: 'button', class: 'quiet' }, `${items.length - most} more`);
      more.addEventListener('click', () => { this.sources.lastChild.replaceWith(...items.slice(most)); });
      this.sources.append(make('li', {}, more));
    }
    this.sources.hidden = items.length === 0;
  }

  quotes(quotes) {
    this.quoted?.remove();
    if (quotes.length === 0) return;
    this.quoted = make('div', { class: 'quotes' },
      make('p', { class: 'label' }, 'The sentences nearest to the question, word for word'),
      quotes.map((quote) => make('blockquote', {},
        make('p', { dir: 'auto' }, quote.text, citation(quote.n, [quote.range.start, quote.range.end], this.passages)))));
    this.rest.prepend(this.quoted);
  }

  sentence({ text, citations, evidence }) {
    const isItem = text.startsWith('- ');
    const isApart = (text) => text.startsWith('- ') || text.startsWith('“');
    const gap = !this.before ? '' : isApart(text) || isApart(this.before) ? '\n' : ' ';
    const cites = citations.map((n) => {
      const found = evidence.find((one) => one.n === n);
      return citation(n, found && [found.range.start, found.range.end], this.passages);
    });
    this.answer.append(gap, make('span', { class: 'sentence' }, text.replace(/^- /, '• '), cites));
    this.answer.hidden = false;
    this.before = text;
    this.said += 1;
    this.wait('Writing, each sentence checked…');
  }

  dropped({ text, why }) {
    this.left += 1;
    if (!this.folded) {
      this.folded = make('details', { class: 'dropped' }, make('summary'), make('ul'));
      this.rest.append(this.folded);
    }
    // What has the focus stays where it is.
    const [summary, list] = this.folded.children;
    summary.textContent = this.left === 1 ? '1 sentence was left out' : `${this.left} sentences were left out`;
    list.append(make('li', {},
      make('p', { class: 'text', dir: 'auto' }, text), make('p', { class: 'why' }, whyDropped(why))));
  }

  hits(hits) {
    this.status.hidden = true;
    this.rest.replaceChildren(hits.length > 0
      ? make('ol', { class: 'hits', 'aria-label': 'Sections found' }, hits.map(hitItem))
      : make('p', { class: 'said' }, 'Nothing was found.'));
  }

  /** The whole answer; what came on the way stays as it is. */
  done(answer) {
    this.status.hidden = true;
    this.standalone(answer.standalone);
    if (this.passages.length === 0) this.show(answer.passages);
    answer.sentences.slice(this.said).forEach((sentence) => this.sentence(sentence));
    answer.dropped.slice(this.left).forEach((sentence) => this.dropped(sentence));
    this.status.hidden = true;
    if (answer.status === 'abstained') {
      this.abstain(answer);
    } else {
      const cited = new Set(answer.sentences.flatMap((sentence) => sentence.citations));
      for (const item of this.sources.children) {
        item.classList.toggle('uncited', !cited.has(Number(item.dataset.n)));
      }
      this.fold(answer);
    }
    this.foot(answer);
  }

  abstain(answer) {
    this.sources.hidden = true;
    this.quoted?.remove();
    this.answer.hidden = false;
    this.answer.classList.add('abstained');
    this.answer.replaceChildren(
      make('p', { class: 'what' }, 'The articles don’t say.'),
      make('p', { class: 'meta' }, reasons[answer.abstain_reason] ?? ''));
    if (answer.passages.length > 0) {
      this.rest.prepend(
        make('h3', { class: 'label' }, 'Nearest sections'),
        make('ol', { class: 'sources nearest' }, answer.passages.map(sourceItem)));
    }
  }

  fold(answer) {
    this.quoted?.remove();
    if (answer.quoted || answer.quotes.length === 0) return;
    this.quotes(answer.quotes);
    const quotes = this.quoted;
    quotes.querySelector('.label').remove();
    const folded = make('details', { class: 'dropped' }, make('summary', {}, 'The sentences nearest to the question'));
    this.rest.prepend(folded);
    folded.append(quotes);
  }

  foot(answer) {
    const seconds = answer.timings.total_ms / 1000;
    const took = seconds < 1 ? `${answer.timings.total_ms} ms` : `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    const how = answer.quoted ? 'Word for word from the articles' : answer.finish ? `Written by ${answer.model.split('@')[0]}` : 'No LLM was asked';
    const foot = make('div', { class: 'foot' }, make('p', { class: 'meta' }, make('span', {}, how), ' ', make('span', {}, took)));
    if (answer.id !== null && answer.id !== undefined) foot.append(this.verdict(answer));
    this.rest.append(foot);
  }

  verdict(answer) {
    const said = make('span', { class: 'meta', role: 'status' });
    const box = make('div', { class: 'verdict', role: 'group', 'aria-label': 'Your verdict' });
    const send = async (verdict, note) => {
      const body = note ? { id: answer.id, verdict, note } : { id: answer.id, verdict };
      try {
        const response = await post('/api/feedback', body);
        if (response.ok) {
          said.textContent = note ? 'Kept with your note.' : 'Kept.';
          return true;
        }
        const { error } = await response.json();
        said.textContent = shown(`That could not be kept: ${error.message}.`);
      } catch {
        said.textContent = 'That could not be kept.';
      }
      return false;
    };
    const buttons = ['good', 'bad'].map((verdict) => {
      const button = make('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false' }, verdict === 'good' ? 'Good' : 'Bad');
      button.addEventListener('click', async () => {
        if (!await send(verdict)) return;
        buttons.forEach((one) => one.setAttribute('aria-pressed', String(one === button)));
        box.querySelector('form')?.remove();
        const id = `note-${answer.id}`;
        const input = make('input', { id, autocomplete: 'off' });
        input.addEventListener('input', () => {
          const over = [...input.value.trim()].length - longestNote;
          input.setCustomValidity(over > 0 ? `A note has ${longestNote} characters at the most: ${over} too many.` : '');
        });
        const form = make('form', { class: 'note' },
          make('label', { for: id }, verdict === 'good' ? 'What was good? (optional)' : 'What was wrong? (optional)'),
          input, make('button', { type: 'submit', class: 'quiet' }, 'Keep note'));
        form.addEventListener('submit', async (event) => {
          event.preventDefault();
          if (input.value.trim() && await send(verdict, input.value.trim())) {
            form.remove();
            button.focus();
          }
        });
        box.append(form);
        form.scrollIntoView({ block: 'nearest' });
      });
      return button;
    });
    box.append(...buttons, said);
    return box;
  }

  fail(what, lines, again) {
    this.status.hidden = true;
    this.rest.append(notice(what, lines, again && (() => {
      const button = make('button', { type: 'button', class: 'quiet' }, 'Ask again');
      button.addEventListener('click', again);
      return button;
    })));
  }
}

// ── Asking ───────────────────────────────────────────────────────────────────────────────────────

function post(path, body, signal, accept = 'application/json') {
  return fetch(path, {
    method: 'POST', signal, body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', Accept: accept },
  });
}

/** The server-sent events of a response, each with its value. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf('\n\n')) >= 0) {
      const lines = rest.slice(0, end).split('\n');
      rest = rest.slice(end + 2);
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).replace(/^ /, '')).join('\n');
      if (field('data')) yield [field('event'), JSON.parse(field('data'))];
    }
  }
}

function conversation(form) {
  const thread = document.getElementById('thread');
  const intro = document.querySelector('.intro');
  const bar = document.querySelector('main > .bar');
  const field = form.elements.q;
  const button = form.querySelector('.primary');
  const kept = 'wellread.turns';
  const most = 20;
  const remembered = 8;
  let turns = [];
  let running = null;
  let count = 0;

  function talking() {
    document.body.classList.add('talking');
    intro.classList.add('hidden');
    bar.hidden = turns.length === 0;
    bar.querySelector('summary').textContent = turns.length === 1 ? '1 question' : `${turns.length} questions`;
    bar.querySelector('ol').replaceChildren(...turns.map(({ question, drawn }) => {
      const link = make('a', { href: `#${drawn.heading.id}`, dir: 'auto' }, question);
      link.addEventListener('click', () => drawn.heading.focus());
      return make('li', {}, link);
    }));
  }

  function save() {
    try {
      const plain = turns.filter((turn) => turn.result).slice(-most);
      sessionStorage.setItem(kept, JSON.stringify(plain.map(({ question, mode, result }) => ({ question, mode, result }))));
    } catch {
      // What does not fit is not there after a reload.
    }
  }

  function begin(question, mode) {
    const drawn = new Turn(question, (count += 1));
    const turn = { question, mode, drawn, result: null };
    turns.push(turn);
    thread.append(drawn.box);
    talking();
    return turn;
  }

  function filter() {
    const one = (name) => form.elements[name].value.trim();
    const wanted = {};
    if (one('source')) wanted.source = [one('source')];
    if (one('author')) wanted.author = [one('author')];
    if (one('since')) wanted.since = one('since');
    if (one('until')) wanted.until = one('until');
    return wanted;
  }

  /** What was asked and answered before, for a question that follows up on it. */
  function earlier() {
    return turns.filter((turn) => turn.result && turn.mode !== 'search').slice(-remembered).map(({ question, result }) => {
      const cited = new Set(result.sentences.flatMap((sentence) => sentence.citations));
      const titles = result.passages.filter((passage) => cited.has(passage.n)).map((passage) => passage.title);
      return {
        question,
        standalone: result.standalone,
        answer: result.sentences.map((sentence) => sentence.text).join(' '),
        titles: [...new Set(titles)],
      };
    });
  }

  async function refused(turn, response, again) {
    let error = {};
    try {
      error = (await response.json()).error ?? {};
    } catch {
      // The status says what there is to say.
    }
    if (response.status === 503 && response.headers.has('Retry-After')) {
      const seconds = response.headers.get('Retry-After');
      turn.drawn.fail('wellread is busy with other questions.', [`Try again in ${seconds} seconds.`], again);
    } else if (response.status === 401) {
      turn.drawn.fail('This server asks for its token.', ['Reload the page and enter it.']);
    } else {
      turn.drawn.fail(error.message ?? `The server answered ${response.status}.`, error.steps ?? [], response.status >= 500 ? again : undefined);
    }
  }

  async function search(turn, wanted, stop) {
    const response = await post('/api/search', { query: turn.question, filter: wanted }, stop.signal);
    if (!response.ok) return refused(turn, response, () => again(turn, wanted));
    turn.result = await response.json();
    turn.drawn.hits(turn.result.hits);
  }

  async function answer(turn, wanted, stop) {
    const { drawn } = turn;
    const body = { question: turn.question, filter: wanted, quotes: turn.mode === 'quotes', turns: earlier() };
    const response = await post('/api/ask', body, stop.signal, 'text/event-stream');
    if (!response.ok) return refused(turn, response, () => again(turn, wanted));
    for await (const [event, value] of events(response.body)) {
      switch (event) {
        case 'standalone': drawn.standalone(value.standalone); break;
        case 'passages':
          drawn.show(value.passages);
          drawn.wait(value.passages.length === 1 ? 'Reading a section…' : `Reading ${value.passages.length} sections…`);
          break;
        case 'quotes': drawn.quotes(value.quotes); break;
        case 'sentence': drawn.sentence(value); break;
        case 'dropped': drawn.dropped(value); break;
        case 'error':
          drawn.fail(value.error.message, value.error.steps, () => again(turn, wanted));
          return;
        case 'done':
          turn.result = value;
          drawn.done(value);
          return;
      }
    }
    drawn.fail('The answer broke off.', ['wellread was stopped while it answered. Start it again, then ask again.'], () => again(turn, wanted));
  }

  function again(turn, wanted) {
    if (running) return;
    const next = begin(turn.question, turn.mode);
    turns = turns.filter((one) => one !== turn);
    turn.drawn.box.remove();
    talking();
    run(next, wanted);
  }

  async function run(turn, wanted) {
    const stop = new AbortController();
    running = stop;
    button.textContent = 'Stop';
    form.classList.add('running');
    turn.drawn.wait('Searching…');
    turn.drawn.box.setAttribute('aria-busy', 'true');
    turn.drawn.box.scrollIntoView({ block: 'start', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    const slow = setTimeout(() => {
      if (turn.drawn.status.textContent === 'Searching…') turn.drawn.wait('Searching… The first question takes longer; after a change the index is brought up to date.');
    }, 4000);
    try {
      await (turn.mode === 'search' ? search : answer)(turn, wanted, stop);
    } catch (error) {
      const again_ = () => again(turn, wanted);
      if (stop.signal.aborted) turn.drawn.fail('Stopped.', [], again_);
      else if (turn.drawn.passages.length > 0) turn.drawn.fail('The answer broke off.', ['wellread was stopped while it answered, or can’t be reached any more. Start it again with wellread serve, then ask again.'], again_);
      else turn.drawn.fail('wellread can’t be reached.', ['It may have been stopped. Start it again with wellread serve, then ask again.'], again_);
      if (!(error instanceof TypeError) && error.name !== 'AbortError') throw error;
    } finally {
      clearTimeout(slow);
      turn.drawn.box.removeAttribute('aria-busy');
      if (running === stop) {
        running = null;
        button.textContent = 'Ask';
        form.classList.remove('running');
      }
      save();
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (running) {
      running.abort();
      return;
    }
    const question = field.value.trim();
    if (!question) return;
    field.value = '';
    run(begin(question, form.elements.mode.value), filter());
  });
  // While an answer is written its Stop needs no question.
  button.addEventListener('click', (event) => {
    if (!running) return;
    event.preventDefault();
    running.abort();
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!running) form.requestSubmit();
  });
  form.querySelector('.filters').addEventListener('input', () => {
    const set = ['source', 'author', 'since', 'until'].filter((name) => form.elements[name].value).length;
    form.querySelector('.count').textContent = set ? ` (${set})` : '';
  });
  bar.querySelector('[data-do=new]').addEventListener('click', () => {
    running?.abort();
    turns = [];
    thread.replaceChildren();
    save();
    pane.hide();
    bar.hidden = true;
    bar.querySelector('details').open = false;
    intro.hidden = false;
    intro.classList.remove('hidden');
    document.body.classList.remove('talking');
    if (location.search) history.replaceState(null, '', '/');
    field.focus();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    if (cards.isOpen()) cards.hide();
    else if (pane.isOpen()) pane.hide();
    else if (running) running.abort();
  });

  const found = [...thread.children];
  try {
    for (const { question, mode, result } of JSON.parse(sessionStorage.getItem(kept) ?? '[]')) {
      const turn = begin(question, mode in modes ? mode : 'answer');
      turn.result = result;
      if (mode === 'search') turn.drawn.hits(result.hits); else turn.drawn.done(result);
    }
  } catch {
    sessionStorage.removeItem(kept);
  }
  if (found.length > 0) {
    thread.append(...found);
    document.body.classList.add('talking');
  } else if (turns.length > 0) {
    scrollTo(0, document.body.scrollHeight);
  }
  if (matchMedia('(pointer: fine)').matches && turns.length === 0) field.focus({ preventScroll: true });
}

const form = document.getElementById('ask');
if (form) conversation(form);
else document.addEventListener('keydown', (event) => { if (event.key === 'Escape') cards.hide(); });
