//! Tokens → whole characters as they come, up to a stop text. Pure.

/// Tokens whose text has not come whole yet.
#[derive(Default)]
pub(super) struct Decoder {
    tokens: Vec<u32>,
    given: usize,
}

/// Tokens after which the ones before are forgotten: a tokenizer's decoding looks back by one
/// word at the most.
const WINDOW: usize = 32;

impl Decoder {
    /// The characters that are whole now.
    pub(super) fn push(
        &mut self,
        token: u32,
        decode: impl Fn(&[u32]) -> Result<String, String>,
    ) -> Result<String, String> {
        self.tokens.push(token);
        let text = decode(&self.tokens)?;
        // A character cut in half decodes to the replacement character.
        if text.ends_with('\u{fffd}') && self.tokens.len() < WINDOW + 8 {
            return Ok(String::new());
        }
        let new = text.get(self.given..).unwrap_or_default().to_owned();
        self.given = text.len();
        if self.tokens.len() >= WINDOW {
            // Keep the last token, so that what follows it is decoded as following.
            self.tokens.drain(..self.tokens.len() - 1);
            self.given = decode(&self.tokens)?.len();
        }
        Ok(new)
    }

    /// What is left at the end, halved characters shown as such.
    pub(super) fn finish(
        &mut self,
        decode: impl Fn(&[u32]) -> Result<String, String>,
    ) -> Result<String, String> {
        let text = decode(&self.tokens)?;
        let rest = text.get(self.given..).unwrap_or_default().to_owned();
        self.tokens.clear();
        self.given = 0;
        Ok(rest)
    }
}

/// Holds text back that may be the beginning of a stop text.
pub(super) struct StopTexts<'a> {
    stops: &'a [String],
    held: String,
}

impl<'a> StopTexts<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        StopTexts { stops, held: String::new() }
    }

    /// The text that can be given on, and whether a stop text came.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let first = self.stops.iter().filter(|stop| !stop.is_empty());
        if let Some(at) = first.filter_map(|stop| self.held.find(stop.as_str())).min() {
            let text = self.held[..at].to_owned();
            self.held.clear();
            return (text, true);
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| {
                (1..stop.len())
                    .rev()
                    .find(|n| stop.is_char_boundary(*n) && self.held.ends_with(&stop[..*n]))
                    .unwrap_or(0)
            })
            .max()
            .unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What is held back at the end.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A byte is a token; text that is not UTF-8 decodes as the tokenizers do.
    fn decode(tokens: &[u32]) -> Result<String, String> {
        let bytes: Vec<u8> = tokens.iter().map(|token| *token as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in(text in "[^\\p{C}\u{fffd}]{0,80}") {
            let mut decoder = Decoder::default();
            let mut out = String::new();
            for byte in text.bytes() {
                let piece = decoder.push(u32::from(byte), decode).unwrap();
                let is_whole = !piece.contains('\u{fffd}');
                prop_assert!(is_whole);
                out.push_str(&piece);
            }
            out.push_str(&decoder.finish(decode).unwrap());
            prop_assert_eq!(out, text);
        }

        #[test]
        fn text_ends_at_the_first_stop_however_it_is_cut(
            text in "[abé]{0,30}", stop in "[abé]{1,3}", size in 1usize..4
        ) {
            let stops = [stop.clone()];
            let mut filter = StopTexts::new(&stops);
            let mut out = String::new();
            let mut stopped = false;
            for piece in text.chars().collect::<Vec<_>>().chunks(size) {
                let (text, stop) = filter.push(&piece.iter().collect::<String>());
                out.push_str(&text);
                if stop { stopped = true; break; }
            }
            if !stopped { out.push_str(&filter.finish()); }
            let wanted = text.find(&stop).map_or(text.as_str(), |at| &text[..at]);
            prop_assert_eq!(out, wanted);
            prop_assert_eq!(stopped, text.contains(&stop));
        }
    }
}
