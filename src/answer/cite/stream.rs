//! An answer as it is written → sentences with their marks. Pure.

use std::collections::BTreeSet;

use crate::document::sentence::ends_in_abbreviation;

/// A sentence without its `[n]` marks (also `[1, 2]` and `[1][2]`), and the numbers in them.
pub fn strip_marks(sentence: &str) -> (String, BTreeSet<usize>) {
    let mut plain = String::with_capacity(sentence.len());
    let mut numbers = BTreeSet::new();
    let mut rest = sentence;
    while let Some(open) = rest.find('[') {
        let (before, tail) = rest.split_at(open);
        let inside = tail[1..].split(']').next().unwrap_or_default();
        let parsed: Option<Vec<usize>> = inside
            .split([',', ';', ' '])
            .filter(|part| !part.is_empty())
            .map(|part| part.trim_start_matches("Passage").trim().parse().ok())
            .collect();
        let closed = tail.len() > inside.len() + 1;
        match parsed {
            Some(found) if closed && !found.is_empty() => {
                plain.push_str(before.trim_end_matches(' '));
                numbers.extend(found);
                rest = &tail[inside.len() + 2..];
            }
            _ => {
                plain.push_str(before);
                plain.push('[');
                rest = &tail[1..];
            }
        }
    }
    plain.push_str(rest);
    (plain.trim().to_owned(), numbers)
}

/// Cuts a stream of text into sentences, a list item being one; marks after a full stop belong to
/// the sentence before them.
#[derive(Debug, Default)]
pub struct Sentences {
    pending: String,
}

impl Sentences {
    /// Takes more text; the sentences that are complete now.
    pub fn push(&mut self, text: &str) -> Vec<String> {
        self.pending.push_str(text);
        let mut complete = Vec::new();
        while let Some(end) = first_end(&self.pending) {
            let sentence: String = self.pending.drain(..end).collect();
            if !sentence.trim().is_empty() {
                complete.push(sentence.trim().to_owned());
            }
        }
        complete
    }

    /// What is left at the end of the stream, if it is more than white space.
    pub fn finish(self) -> Option<String> {
        let rest = self.pending.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    }
}

/// The byte after the first sentence of `text`, if it is certain that it ends there.
fn first_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    for (at, character) in text.char_indices() {
        let after = at + character.len_utf8();
        match character {
            '\n' if !text[..at].trim().is_empty() => return Some(after),
            '。' | '！' | '？' => return Some(after),
            '.' | '!' | '?' => {
                let mut end = after;
                while end < bytes.len() && matches!(bytes[end], b'"' | b')' | b'\'' | b'*') {
                    end += 1;
                }
                // Marks may follow, with or without a space.
                loop {
                    let tail = &text[end..];
                    let spaces = tail.len() - tail.trim_start_matches(' ').len();
                    let tail = &tail[spaces..];
                    match tail.starts_with('[').then(|| tail.find(']')) {
                        Some(Some(close)) => end += spaces + close + 1,
                        Some(None) => return None,
                        None => break,
                    }
                }
                let next: Vec<char> = text[end..].chars().take(2).collect();
                let abbreviation = ends_in_abbreviation(&text[..after]);
                match next.as_slice() {
                    _ if abbreviation => {}
                    ['\n', ..] => return Some(end),
                    [' ', following] if !following.is_lowercase() && *following != '[' => {
                        return Some(end);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    None
}
