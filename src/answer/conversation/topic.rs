//! What a question is about: the words that a pronoun behind it stands for. Pure.

use super::words::{
    Word, is_aux, is_be, is_content, is_determiner, is_do, is_name, is_participle, is_plain_verb,
    is_plural, is_preposition, is_wh, words,
};

/// The longest topic, in bytes.
const LONGEST: usize = 160;

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    /// In the question's words, as "the plans for the boat".
    pub text: String,
    /// Whether it names several things.
    pub several: bool,
    /// Whether what it names is itself what was asked for, as in "who drew it".
    pub asked: bool,
}

/// Whether a question is no more than a topic, as it is typed into a search box: up to three words,
/// none of which asks or does.
pub(in crate::answer) fn is_bare(question: &str) -> bool {
    let all = words(question);
    let asks = |word: &Word<'_>| is_wh(&word.low) || is_aux(&word.low) || is_plain_verb(&word.low);
    (1..=3).contains(&all.len()) && !question.contains('?') && !all.iter().any(asks)
}

/// The topic of a question; `None` if nothing in it says what it is about.
pub(super) fn topic(question: &str) -> Option<Topic> {
    let all = words(question);
    // "At first, what did they suspect": the clause that asks.
    let from = all.iter().position(|word| is_wh(&word.low) || is_aux(&word.low)).unwrap_or(0);
    let all = clause(&all[from..]);
    let wh = all.first().filter(|word| is_wh(&word.low));
    let aux = all.iter().position(|word| is_aux(&word.low));
    let is_who = wh.is_some_and(|word| word.low == "who");
    match (wh, aux) {
        (Some(_), Some(aux)) if aux > 1 && is_who => straight(question, all),
        // "Which region is down": what is asked for is what is talked of.
        (_, Some(aux)) => inverted(question, &all[aux..])
            .or_else(|| named(question, all.get(1..aux).unwrap_or_default())),
        (Some(_), None) => straight(question, all),
        (None, None) => named(question, all),
    }
}

/// A topic from words that follow each other, bare of what says nothing at their ends.
fn named(question: &str, of: &[Word<'_>]) -> Option<Topic> {
    let from = of.iter().position(|word| is_content(&word.low) || is_determiner(&word.low))?;
    let to = of.iter().rposition(|word| is_content(&word.low))?;
    let of = of.get(from..=to)?;
    let (first, last) = (of.first()?, of.last()?);
    let text = question.get(first.range.start..last.range.end)?;
    if text.len() > LONGEST {
        return None;
    }
    let text = lowered(first, text);
    Some(Topic { text, several: is_plural(&head(of).low), asked: false })
}

/// The noun that the other words of a phrase belong to: the last before a preposition.
fn head<'a, 'w>(of: &'a [Word<'w>]) -> &'a Word<'w> {
    let end =
        of.iter().skip(1).position(|word| is_preposition(&word.low)).map_or(of.len(), |n| n + 1);
    &of[end - 1]
}

/// A phrase that began a question, as it stands within one.
pub(super) fn lowered(first: &Word<'_>, text: &str) -> String {
    let is_common = is_determiner(&first.low)
        || is_wh(&first.low)
        || is_aux(&first.low)
        || is_preposition(&first.low);
    let mut letters = text.chars();
    match letters.next() {
        Some(letter) if is_common => letter.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// "What did | the hull | weigh", "How is | the steaming chest | built of".
fn inverted(question: &str, of: &[Word<'_>]) -> Option<Topic> {
    let (aux, rest) = of.split_first()?;
    let rest = clause(rest);
    // "How do I clear a jam": whoever asks is not what is asked about.
    if rest.first().is_some_and(|word| ["i", "we", "you", "one"].contains(&word.low.as_str())) {
        return named(question, rest.get(2..)?);
    }
    let starts = usize::from(rest.first().is_some_and(|word| is_determiner(&word.low)));
    let mut verb = None;
    for (at, word) in rest.iter().enumerate().skip(starts) {
        let is_first = at == starts;
        let is_verb = if is_be(&aux.low) {
            is_participle(&word.low) && !is_first
                || (is_preposition(&word.low)
                    && rest.get(at + 1).is_none_or(|next| is_preposition(&next.low)))
        } else if is_do(&aux.low) {
            !is_first && (is_plain_verb(&word.low) || is_be(&word.low))
        } else {
            false
        };
        if is_verb {
            verb = Some(at);
            break;
        }
    }
    if verb.is_none() && is_do(&aux.low) {
        verb = guessed_verb(rest, starts);
    }
    let subject = verb.map_or(rest, |at| &rest[..at]);
    let mut found = named(question, subject)?;
    // What it is part of stands behind the verb: "used for in the project list".
    let Some(at) = verb.filter(|_| is_be(&aux.low)) else { return Some(found) };
    let behind = &rest[at + 1..];
    if let Some(from) = behind
        .windows(2)
        .position(|pair| is_preposition(&pair[0].low) && is_preposition(&pair[1].low))
        && let Some(place) = place(question, &behind[from + 1..])
    {
        found.text = format!("{} {place}", found.text);
    } else if behind.first().is_some_and(|word| is_preposition(&word.low))
        && let Some(place) = place(question, behind)
    {
        found.text = format!("{} {place}", found.text);
    }
    Some(found)
}

/// "in the project list".
fn place(question: &str, of: &[Word<'_>]) -> Option<String> {
    let to = of.iter().rposition(|word| is_content(&word.low))?;
    let text = question.get(of.first()?.range.start..of[to].range.end)?;
    (to > 0 && text.len() <= LONGEST).then(|| text.to_owned())
}

/// Where the verb of "did the oak for the backbone shrink" is: behind the noun, or at the end.
fn guessed_verb(rest: &[Word<'_>], starts: usize) -> Option<usize> {
    let last = rest.iter().rposition(|word| !is_preposition(&word.low))?;
    let noun = rest.get(starts)?;
    if is_name(noun.text) {
        let names = rest[starts..].iter().take_while(|word| is_name(word.text)).count();
        return Some(starts + names).filter(|at| *at <= last);
    }
    match last {
        at if at == starts + 1 => Some(at),
        at if at > starts + 1 && !is_preposition(&rest[starts + 1].low) => Some(starts + 1),
        at if at > starts => Some(at),
        _ => None,
    }
}

/// The words of the first clause.
fn clause<'a, 'w>(of: &'a [Word<'w>]) -> &'a [Word<'w>] {
    let end = of.iter().position(|word| word.ends).map_or(of.len(), |at| at + 1);
    &of[..end]
}

/// "Who drew the plans for the boat", "Which company rewrote its compiler", "How many ribs broke".
fn straight(question: &str, of: &[Word<'_>]) -> Option<Topic> {
    let (wh, rest) = of.split_first()?;
    let rest = clause(rest);
    let last = rest.last()?;
    let is_noun = ["which", "how", "whose", "wich"].contains(&wh.low.as_str())
        || (wh.low == "what" && !is_determiner(rest.get(1).map_or("the", |word| &word.low)));
    if !is_noun {
        let of_verb = named(question, rest.get(1..)?)?;
        return Some(Topic { asked: true, ..of_verb });
    }
    let skipped = rest.iter().take_while(|word| ["many", "much"].contains(&word.low.as_str()));
    let from = skipped.count();
    let noun = rest.get(from)?;
    let text = question.get(noun.range.start..last.range.end)?;
    if text.len() > LONGEST || rest.len() < from + 2 {
        return named(question, rest);
    }
    let said = question.get(rest[from + 1].range.start..last.range.end)?;
    Some(Topic {
        text: format!("the {} that {said}", noun.text),
        several: is_plural(&noun.low),
        asked: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_topic_is_told_from_a_question() {
        for topic in ["thundering herd", "MCP", "the glue pot", "glm-5.2 licence"] {
            assert!(is_bare(topic), "{topic}");
        }
        for question in [
            "",
            "herds?",
            "who drew it",
            "what is glue",
            "is it oak",
            "dropout rate of hidden units",
            "how oak bends",
        ] {
            assert!(!is_bare(question), "{question}");
        }
    }
}
