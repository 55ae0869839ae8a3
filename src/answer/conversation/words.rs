//! Questions as words, and which of them say nothing by themselves. Pure.

use std::ops::Range;

/// A word of a question.
#[derive(Clone, Debug)]
pub(super) struct Word<'a> {
    /// As it stands there.
    pub text: &'a str,
    /// In lower case.
    pub low: String,
    /// Its bytes.
    pub range: Range<usize>,
    /// Whether a comma, colon, full stop or the like follows.
    pub ends: bool,
}

/// The words of a text, without the punctuation around them.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut found: Vec<Word<'_>> = Vec::new();
    let mut at = 0;
    for piece in text.split_whitespace() {
        let Some(start) = text[at..].find(piece).map(|from| at + from) else { continue };
        at = start + piece.len();
        let is_mark = |c: char| !c.is_alphanumeric() && !matches!(c, '+' | '#' | '$' | '%');
        let Some(from) = piece.find(|c: char| !is_mark(c)) else {
            if let Some(last) = found.last_mut() {
                last.ends = true;
            }
            continue;
        };
        let kept = piece[from..].trim_end_matches(is_mark);
        let range = start + from..start + from + kept.len();
        let ends = piece[from + kept.len()..].contains([',', ':', ';', '.', '?', '!', '–', '—']);
        found.push(Word { text: kept, low: kept.to_lowercase().replace('’', "'"), range, ends });
    }
    found
}

/// Whether a list of words, parted by spaces, holds one.
fn lists(list: &str, word: &str) -> bool {
    list.split(' ').any(|one| one == word)
}

pub(super) fn is_wh(word: &str) -> bool {
    lists("who whom whose what which when where why how what's who's how's where's wich", word)
}

/// Words that a clause has in place of, or before, its verb.
pub(super) fn is_aux(word: &str) -> bool {
    is_be(word) || is_do(word)
}

pub(super) fn is_be(word: &str) -> bool {
    lists("is are was were isn't aren't wasn't weren't am been being", word)
}

/// Those behind which a verb follows in its plain form.
pub(super) fn is_do(word: &str) -> bool {
    lists(
        "do does did don't doesn't didn't can could will would shall should must may might has have \
         had can't couldn't won't wouldn't shouldn't mustn't hasn't haven't hadn't",
        word,
    )
}

pub(super) fn is_preposition(word: &str) -> bool {
    lists(
        "in on at by for from of to into onto with without under over below above after before \
         about against between among through during per as than like within around near behind \
         inside outside until since via beside besides despite across along up off out",
        word,
    )
}

pub(super) fn is_determiner(word: &str) -> bool {
    lists(
        "the a an this that these those my your our its their his her some any each every no all \
         both",
        word,
    )
}

/// What a pronoun can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// One thing.
    Thing,
    /// Several.
    Several,
    /// Somebody.
    Person,
}

/// A pronoun that refers to something else, and whether it says whose.
pub(super) fn pronoun(word: &str) -> Option<(Stands, bool)> {
    Some(match word {
        "it" | "it's" => (Stands::Thing, false),
        "its" => (Stands::Thing, true),
        "they" | "them" => (Stands::Several, false),
        "their" | "theirs" => (Stands::Several, true),
        "he" | "him" | "she" => (Stands::Person, false),
        "his" | "her" | "hers" => (Stands::Person, true),
        _ => return None,
    })
}

/// Whether a word says something by itself.
pub(super) fn is_content(word: &str) -> bool {
    const REST: &str = "and or but so if not nor i you we he she it they me him them us one ones \
        there here then now again also too just only even yet still already ever never very much \
        many more most less few little long far often else other others same such own mine yours \
        while because whether though although once let's lets ok okay please yes well really \
        exactly actually anyway instead former latter until everything something anything nothing \
        somebody anybody it's that's there's be get gets got";
    !(is_wh(word)
        || is_aux(word)
        || is_preposition(word)
        || is_determiner(word)
        || pronoun(word).is_some()
        || lists(REST, word))
        && word.chars().any(char::is_alphanumeric)
}

/// Verbs in their plain form that often end or carry a question.
pub(super) fn is_plain_verb(word: &str) -> bool {
    lists(
        "come cost take last say put weigh stay get suspect change mean happen work make use need \
         think cause find call help give go keep run do have be become see want know tell look \
         say hold pay buy sell build write read start stop end begin lose win offer ask answer \
         learn train ship send show move grow fail break die live leave matter differ compare \
         consist support replace handle protect store add remove suggest recommend advise believe \
         draw choose let try serve belong depend",
        word,
    )
}

/// Forms that a verb has behind "is" and the like, and what is said of a thing there.
pub(super) fn is_participle(word: &str) -> bool {
    const IRREGULAR: &str = "built put kept made used meant done held known seen found given taken \
        called bought sold paid told left lost good bad risky hard easy wrong right free sound \
        big large small wide long high deep fast slow different important safe dangerous better \
        worse worth named fed bent broken driven frozen hidden hit hung laid led met read spent \
        stolen struck taught torn thrown understood worn won written drawn chosen begun caught cut \
        forgotten set spread split shown grown gone become come";
    lists(IRREGULAR, word) || (word.len() > 4 && word.ends_with("ed"))
}

/// Whether a noun names several things.
pub(super) fn is_plural(noun: &str) -> bool {
    lists("people men women children staff data teeth feet mice police", noun)
        || (noun.len() > 2
            && noun.ends_with('s')
            && !noun.ends_with("ss")
            && !noun.ends_with("us")
            && !noun.ends_with("is")
            && !noun.ends_with("'s"))
}

/// Whether a word is written as a name is.
pub(super) fn is_name(text: &str) -> bool {
    text.chars().any(char::is_uppercase)
}

/// A word without the ending that it has in another form: for comparing only.
pub(super) fn stem(low: &str) -> &str {
    let low = low.strip_suffix("'s").unwrap_or(low);
    for ending in ["ing", "ies", "ed", "es", "s"] {
        if let Some(stem) = low.strip_suffix(ending)
            && stem.len() > 2
        {
            return stem;
        }
    }
    low
}

/// The words of a text that say something, as stems.
pub(super) fn stems(text: &str) -> Vec<String> {
    let told = words(text);
    told.iter().filter(|w| is_content(&w.low)).map(|w| stem(&w.low).to_owned()).collect()
}

/// How many different words of `asked` a text has.
pub(super) fn shared(asked: &[String], text: &str) -> usize {
    let has = stems(text);
    let mut seen: Vec<&String> = asked.iter().filter(|stem| has.contains(stem)).collect();
    seen.sort();
    seen.dedup();
    seen.len()
}
