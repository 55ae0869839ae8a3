//! What an LLM makes of a follow-up, and whether that is kept.

use std::ops::ControlFlow;

use minijinja::context;

use super::Turn;
use super::words::{is_content, is_name, shared, stems, words};
use crate::answer::prompt::{Template, fence};
use crate::base::Cancel;
use crate::base::error::Result;
use crate::base::text::collapse;
use crate::infer::{Generator, Sampling};

const PROMPT: &str = include_str!("../../../prompts/standalone.jinja");

/// Turns that the LLM reads.
const TURNS: usize = 3;
/// Bytes of each text that it reads.
const READ: usize = 300;
/// Tokens that it writes.
const TOKENS: usize = 48;
/// The longest that is kept, in bytes.
const LONGEST: usize = 240;

/// A follow-up that is put to an LLM.
#[derive(Clone, Copy, Debug)]
pub struct Rewriting<'a> {
    /// As it was asked.
    pub question: &'a str,
    /// What was asked and answered before, in its order.
    pub turns: &'a [Turn],
}

impl Rewriting<'_> {
    /// The LLM's version; `None` if it is not kept, and then that of the rules holds.
    ///
    /// # Errors
    /// If the LLM or the template fails, or the user stops it.
    pub fn ask(&self, generator: &mut dyn Generator, cancel: &Cancel) -> Result<Option<String>> {
        let template = Template::parse("standalone.jinja", PROMPT)?;
        let first = self.turns.len().saturating_sub(TURNS);
        let read: Vec<(String, String)> = self.turns[first..]
            .iter()
            .map(|turn| (beginning(super::rules::base(turn)), beginning(&turn.answer)))
            .collect();
        let asked = collapse(self.question);
        let texts: Vec<&str> =
            read.iter().flat_map(|(question, answer)| [question.as_str(), answer]).collect();
        let turns: Vec<minijinja::Value> = read
            .iter()
            .map(|(question, answer)| context! { question => question, answer => answer })
            .collect();
        let variables = context! {
            turns => turns,
            question => &asked,
            fence => fence(&asked, texts),
        };
        let prompt = template.prompt(&["user"], Some("opening"), &variables)?;
        let sampling = Sampling {
            max_tokens: TOKENS,
            temperature: 0.0,
            seed: 0,
            stop: vec!["\n".to_owned(), "?".to_owned()],
            schema: None,
        };
        let generation = generator.generate(&prompt, &sampling, &mut |_| {
            if cancel.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        cancel.check()?;
        Ok(self.kept(&generation.text))
    }

    /// What the LLM wrote, if it says nothing that was not said before and leaves nothing out that
    /// was asked.
    fn kept(&self, written: &str) -> Option<String> {
        let text = collapse(
            written.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '“' || c == '”'),
        );
        let text = text.trim_end_matches('?').trim_end();
        if text.is_empty() || text.len() > LONGEST || text.contains(['<', '>', '[', ']', '|']) {
            return None;
        }
        let mut said = vec![collapse(self.question)];
        for turn in self.turns {
            let standalone = turn.standalone.iter();
            said.extend(
                standalone.chain([&turn.question, &turn.answer]).chain(&turn.titles).cloned(),
            );
        }
        let said = said.join(" ");
        if adds(text, &said) {
            return None;
        }
        // Most of what was asked is still asked, and something of what came before.
        let own = stems(self.question);
        let has = shared(&own, text);
        let wanted = own.iter().collect::<std::collections::BTreeSet<_>>().len();
        let is_faithful = 2 * has >= wanted;
        let new: Vec<String> = stems(text).into_iter().filter(|stem| !own.contains(stem)).collect();
        (is_faithful && !new.is_empty()).then(|| format!("{text}?"))
    }
}

/// Whether a text has a figure or a name that another has not.
pub(super) fn adds(text: &str, said: &str) -> bool {
    let known: std::collections::BTreeSet<String> =
        words(said).iter().flat_map(|word| forms(&word.low)).collect();
    words(text).iter().any(|word| {
        let is_figure = word.low.chars().any(|c| c.is_ascii_digit());
        let is_named = is_name(word.text) && is_content(&word.low);
        (is_figure || is_named) && !forms(&word.low).iter().any(|form| known.contains(form))
    })
}

/// The letters and digits of a word, with and without the mark of whose it is.
fn forms(low: &str) -> [String; 2] {
    let bare = low.strip_suffix("'s").unwrap_or(low);
    [low, bare].map(|form| form.chars().filter(|c| c.is_alphanumeric()).collect())
}

/// The beginning of a text, on one line.
fn beginning(text: &str) -> String {
    let text = collapse(text);
    text[..text.floor_char_boundary(READ)].to_owned()
}
