//! A question as words, and a cursor that reads them one after another.

/// A word of a question, a comma, or all that stands between two quotation marks.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// As it was typed.
    pub text: String,
    /// In lower case, with straight apostrophes; empty if it was quoted, as no rule means a title.
    pub low: String,
    /// Whether it stood between quotation marks.
    pub quoted: bool,
    /// Whether the question begins with it, so that its capital says nothing.
    initial: bool,
}

impl Word {
    fn plain(text: &str) -> Word {
        let low = text.to_lowercase().replace('’', "'");
        Word { text: text.to_owned(), low, quoted: false, initial: false }
    }

    /// The word without a possessive ending.
    pub fn bare(&self) -> &str {
        self.low.strip_suffix("'s").or_else(|| self.low.strip_suffix('\'')).unwrap_or(&self.low)
    }

    pub fn is_possessive(&self) -> bool {
        self.bare().len() < self.low.len()
    }

    fn is_capital(&self) -> bool {
        self.text.chars().next().is_some_and(char::is_uppercase)
    }
}

/// The words of a question; `None` if it is more than one sentence, or too long to be about the
/// articles as such.
pub(super) fn words(question: &str) -> Option<Vec<Word>> {
    const MOST: usize = 40;
    let mut words = Vec::new();
    let mut rest = question.trim();
    while let Some(open) = rest.find(['“', '"', '«', '„']) {
        let (before, after) = rest.split_at(open);
        plain(before, &mut words)?;
        let mut after = after.chars();
        after.next();
        let after = after.as_str();
        let Some(close) = after.find(['”', '"', '»', '“']) else {
            rest = after;
            continue;
        };
        let (title, after) = after.split_at(close);
        let title = title.trim().trim_end_matches(',');
        if title.chars().any(char::is_alphanumeric) {
            words.push(Word {
                text: title.to_owned(),
                low: String::new(),
                quoted: true,
                initial: false,
            });
        }
        let mut after = after.chars();
        after.next();
        rest = after.as_str();
        if words.len() > MOST {
            return None;
        }
    }
    plain(rest.trim_end_matches(|c: char| c.is_whitespace() || "?!.…".contains(c)), &mut words)?;
    if let Some(first) = words.first_mut() {
        first.initial = true;
    }
    (words.len() <= MOST).then_some(words)
}

fn plain(text: &str, words: &mut Vec<Word>) -> Option<()> {
    let mut typed = text.split_whitespace().peekable();
    while let Some(whole) = typed.next() {
        let is_last = typed.peek().is_none();
        let ends_sentence =
            whole.ends_with(['?', '!', ';']) || (whole.ends_with('.') && whole.chars().count() > 4);
        if ends_sentence && !is_last {
            return None;
        }
        let word = whole.trim_matches(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’');
        let word = word.trim_start_matches(['\'', '’']);
        let low = word.to_lowercase().replace('’', "'");
        let contracted = ["what's", "who's", "when's", "which's"].contains(&low.as_str());
        if let (true, Some((first, _))) = (contracted, low.split_once('\'')) {
            words.push(Word::plain(first));
            words.push(Word::plain("is"));
        } else if !word.is_empty() {
            words.push(Word::plain(word));
        }
        if whole.ends_with([',', ':', ';']) {
            words.push(Word::plain(","));
        }
    }
    Some(())
}

/// Words put together again as they were typed.
pub(super) fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() && word.low != "," {
            text.push(' ');
        }
        text.push_str(&word.text);
    }
    text.trim_matches([',', ' ']).to_owned()
}

/// Where a rule stands in a question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    /// What is still to be read.
    pub rest: &'a [Word],
}

impl<'a> Cursor<'a> {
    pub fn new(rest: &'a [Word]) -> Self {
        Cursor { rest }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next word in lower case; empty at the end and for what was quoted.
    pub fn peek(&self) -> &'a str {
        self.rest.first().map_or("", |word| &word.low)
    }

    pub fn take(&mut self) -> Option<&'a Word> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The words passed over since an earlier state of the cursor.
    pub fn since(&self, start: Cursor<'a>) -> &'a [Word] {
        start.rest.get(..start.rest.len().saturating_sub(self.rest.len())).unwrap_or_default()
    }

    pub fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Passes a phrase if it comes next.
    pub fn phrase(&mut self, phrase: &str) -> bool {
        let mut rest = self.rest;
        for wanted in phrase.split(' ') {
            match rest.split_first() {
                Some((word, after)) if word.low == wanted => rest = after,
                _ => return false,
            }
        }
        self.rest = rest;
        true
    }

    /// Passes the first of some phrases that comes next; longer ones must be named first.
    pub fn any(&mut self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.phrase(phrase))
    }

    /// Takes a phrase off the end if it stands there.
    pub fn any_at_end(&mut self, phrases: &[&str]) -> bool {
        for phrase in phrases {
            let count = phrase.split(' ').count();
            let Some(at) = self.rest.len().checked_sub(count) else { continue };
            let (before, mut end) = (Cursor::new(&self.rest[..at]), Cursor::new(&self.rest[at..]));
            if end.phrase(phrase) {
                self.rest = before.rest;
                return true;
            }
        }
        false
    }
}

/// How surely a word means an article of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `post`, `article`.
    Sure,
    /// `piece`, `story`: only with a source or an author of the library.
    Weak,
    /// `goodbye`, `screencast`: a sort of text, good in "the screencast on …" alone.
    Sort,
}

/// The kind of article that a word means, if it does, and whether it is plural. A capital within a
/// question is a name, as in "the Washington Post".
pub(super) fn kind(word: &Word) -> Option<(Kind, bool)> {
    const SURE: &[&str] = &["post", "article", "essay", "blogpost", "write-up", "writeup"];
    const WEAK: &[&str] = &["piece", "entry", "story", "column", "item", "newsletter", "text"];
    const SORTS: &[&str] = &[
        "screencast",
        "goodbye",
        "farewell",
        "review",
        "tutorial",
        "recap",
        "roundup",
        "round-up",
        "retrospective",
        "primer",
        "how-to",
        "obituary",
        "rant",
        "interview",
        "guide",
        "episode",
        "explainer",
        "walkthrough",
        "podcast",
        "diary",
        "wrap-up",
        "teardown",
    ];
    if word.is_capital() && !word.initial {
        return None;
    }
    let low = word.low.as_str();
    let singular = match low.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => low.strip_suffix('s').unwrap_or(low).to_owned(),
    };
    let is_plural = singular != low;
    let kinds = [(SURE, Kind::Sure), (WEAK, Kind::Weak), (SORTS, Kind::Sort)];
    kinds
        .into_iter()
        .find(|(names, _)| names.contains(&singular.as_str()))
        .map(|(_, kind)| (kind, is_plural))
}

/// Numbers in words, each at its place.
pub(super) const NUMBERS: [&str; 13] = [
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
];

/// A number from one to twelve in words, or to 99 in digits.
pub(super) fn number(word: &str) -> Option<usize> {
    NUMBERS.iter().position(|name| *name == word).or_else(|| {
        let is_short = word.len() <= 2 && word.bytes().all(|b| b.is_ascii_digit());
        is_short.then(|| word.parse().ok()).flatten()
    })
}

/// Words that no short topic and no name has: they show that a question says something else.
pub(super) fn is_telling(word: &str) -> bool {
    const TELLING: &[&str] = &[
        ",", "should", "do", "does", "did", "can", "could", "would", "will", "must", "need", "i",
        "you", "we", "me", "my", "your", "per", "is", "are", "was", "were", "be", "been", "has",
        "have", "had", "which", "what", "who", "when", "where", "why", "how", "that", "it", "they",
        "mention", "mentions", "say", "says", "said", "every", "each", "these", "those", "not",
        "most", "many", "much", "more", "than", "likely", "average", "typical", "usual",
    ];
    TELLING.contains(&word) || number(word).is_some()
}
