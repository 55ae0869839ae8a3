//! Guesses at the tokens that come next, from the text itself: an answer quotes its passages.
//! Prompt lookup decoding (Saxena 2023). Pure.

/// Tokens of a guess at the most: by measurement the model reads four at once for one and a half
/// times the price of one.
const MOST: usize = 3;

/// Lengths of the ends of the text that are looked up, the longest first: one token says too
/// little of what follows.
const ENDS: [usize; 2] = [3, 2];

/// Tokens that are generated without a guess at the most, after guesses that were all wrong.
const LONGEST_REST: usize = 15;

/// Guesses more while it guesses right, and rests after it guessed wrong, longer each time: a text
/// that never repeats itself costs next to nothing.
pub(super) struct Drafter {
    text: Vec<u32>,
    length: usize,
    misses: u32,
    rest: usize,
}

impl Drafter {
    /// One that knows the prompt.
    pub(super) fn new(prompt: &[u32]) -> Drafter {
        Drafter { text: prompt.to_vec(), length: 1, misses: 0, rest: 0 }
    }

    /// Adds a token that was generated.
    pub(super) fn push(&mut self, token: u32) {
        self.text.push(token);
    }

    /// What may come next, `most` tokens at the most; often nothing.
    pub(super) fn draft(&mut self, most: usize) -> Vec<u32> {
        if self.rest > 0 {
            self.rest -= 1;
            return Vec::new();
        }
        let Some(from) = ENDS.into_iter().find_map(|length| self.seen_before(length)) else {
            return Vec::new();
        };
        let length = self.length.min(most);
        // A text that repeats itself is guessed to go on so: the guess may go on from itself.
        let end = self.text.len();
        let mut draft = Vec::with_capacity(length);
        for at in from..from + length {
            let token = if at < end { self.text[at] } else { draft[at - end] };
            draft.push(token);
        }
        draft
    }

    /// Says how many tokens of a draft that was not empty came so.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize) {
        if accepted == 0 {
            self.length = 1;
            self.misses = (self.misses + 1).min(usize::BITS - 1);
            self.rest = ((1usize << self.misses) - 1).min(LONGEST_REST);
            return;
        }
        self.misses = 0;
        self.length = if accepted == drafted { (self.length + 1).min(MOST) } else { accepted };
    }

    /// Where the text went on when its last `length` tokens stood in it before; the last time.
    fn seen_before(&self, length: usize) -> Option<usize> {
        let (_, before) = self.text.split_last()?;
        let end = self.text.get(self.text.len().checked_sub(length)?..)?;
        let at = before.windows(length).rposition(|window| window == end)?;
        Some(at + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(text: &[u32]) -> Drafter {
        Drafter { length: MOST, ..Drafter::new(text) }
    }

    #[test]
    fn the_longest_end_is_looked_up_and_of_its_places_the_last() {
        // "2 3" stands three times before, "1 2 3" twice.
        let text = [1, 2, 3, 40, 41, 42, 1, 2, 3, 50, 51, 52, 7, 2, 3, 60, 61, 62, 1, 2, 3];
        assert_eq!(grown(&text).draft(3), [50, 51, 52]);
        let text = [8, 2, 3, 40, 41, 42, 7, 2, 3, 60, 61, 62, 1, 2, 3];
        assert_eq!(grown(&text).draft(3), [60, 61, 62]);
        assert_eq!(grown(&text).draft(2), [60, 61]);
        assert!(grown(&text).draft(0).is_empty());
        assert!(grown(&[1, 2, 3, 4, 5, 6, 3]).draft(3).is_empty(), "one token is too short an end");
        for text in [&[][..], &[1], &[1, 1], &[1, 2]] {
            assert!(grown(text).draft(3).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_repeats_itself_is_guessed_to_go_on_so() {
        assert_eq!(grown(&[5, 5, 5]).draft(3), [5, 5, 5]);
        assert_eq!(grown(&[1, 2, 1, 2]).draft(3), [1, 2, 1]);
    }

    #[test]
    fn guesses_grow_while_they_are_right_and_rest_ever_longer_while_they_are_wrong() {
        let mut drafter = Drafter::new(&[1, 2, 3, 4, 5, 6, 1, 2, 3]);
        let mut lengths = Vec::new();
        for _ in 0..4 {
            let drafted = drafter.draft(9).len();
            lengths.push(drafted);
            drafter.learn(drafted, drafted);
        }
        assert_eq!(lengths, [1, 2, 3, 3]);
        drafter.learn(3, 2);
        assert_eq!(drafter.draft(9).len(), 2);
        let mut rests = Vec::new();
        for _ in 0..6 {
            drafter.learn(1, 0);
            let mut rest = 0;
            while drafter.draft(9).is_empty() {
                rest += 1;
            }
            rests.push(rest);
        }
        assert_eq!(rests, [1, 3, 7, 15, 15, 15]);
        drafter.learn(1, 1);
        assert_eq!(drafter.draft(9).len(), 2);
    }
}
