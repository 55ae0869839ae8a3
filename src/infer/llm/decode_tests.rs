use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;

use super::context::{Context, Model, PREFILL};
use super::decode::{Rules, generate, score};
use super::family::KNOWN;
use super::tiny::Tiny;
use super::*;

/// A model whose scores follow from the last few tokens: it soon says the same again. Scores are
/// whole numbers, so that some are equal.
#[derive(Default)]
struct Fake {
    seed: u64,
    vocabulary: u32,
    looks_back: usize,
    told: Vec<u32>,
    passes: usize,
    /// Tokens that went through it, forgotten or not.
    computed: usize,
    fails_at: Option<usize>,
}

impl Fake {
    fn scores(&self, told: &[u32]) -> Vec<f32> {
        let seen = &told[told.len().saturating_sub(self.looks_back)..];
        let score = |token: u32| {
            let mut hasher = DefaultHasher::new();
            (self.seed, seen, token).hash(&mut hasher);
            (hasher.finish() % 9) as f32
        };
        (0..self.vocabulary).map(score).collect()
    }
}

impl Model for Fake {
    fn len(&self) -> usize {
        self.told.len()
    }

    fn truncate(&mut self, len: usize) {
        self.told.truncate(len);
    }

    fn forward_while(
        &mut self,
        tokens: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> candle_core::Result<Option<Vec<f32>>> {
        if go_on().is_break() {
            return Ok(None);
        }
        let each = self.forward_each(tokens)?;
        Ok(Some(each[each.len() - self.vocabulary as usize..].to_vec()))
    }

    fn forward_each(&mut self, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
        let mut each = Vec::new();
        self.passes += 1;
        self.computed += tokens.len();
        for token in tokens {
            self.told.push(*token);
            each.extend(self.scores(&self.told));
        }
        if self.fails_at == Some(self.passes) {
            candle_core::bail!("out of order");
        }
        Ok(each)
    }

    fn export(&self, len: usize) -> Vec<u8> {
        self.told[..len].iter().map(|token| *token as u8).collect()
    }

    fn import(&mut self, len: usize, bytes: &[u8]) -> bool {
        let fits = bytes.len() == len;
        if fits {
            self.told = bytes.iter().map(|byte| u32::from(*byte)).collect();
        }
        fits
    }
}

/// The first two tokens are the halves of one character.
fn decode(tokens: &[u32]) -> std::result::Result<String, String> {
    let byte = |token: &u32| match *token {
        0 => 0xc3,
        1 => 0xa9,
        token => b'a' + token as u8 - 2,
    };
    Ok(String::from_utf8_lossy(&tokens.iter().map(byte).collect::<Vec<u8>>()).into_owned())
}

fn likes(max_tokens: usize, stop: &[String]) -> Sampling {
    Sampling { max_tokens, temperature: 0.0, seed: 1, stop: stop.to_vec(), schema: None }
}

fn go_on() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What a generation is to a caller.
type Heard = (Vec<String>, usize, usize, Finish);

/// Generates, and breaks off at a call of `on_piece`.
fn heard(
    fake: &mut Fake,
    told: &mut Vec<u32>,
    prompt: &[u32],
    (sampling, ends, cancel): (&Sampling, &[u32], usize),
    is_guessing: bool,
) -> (Heard, Generated) {
    let mut context = Context { model: fake, told, name: "fake" };
    let scores = context.tell(prompt, &mut go_on).unwrap().unwrap();
    let room = sampling.max_tokens;
    let rules = Rules { sampling, ends, room, decode: &decode, is_guessing };
    let mut pieces = Vec::new();
    let mut sum = 0.0;
    let mut on_piece = |piece: Written<'_>| {
        pieces.push(piece.text.to_owned());
        sum += piece.log_probability.unwrap_or(0.0);
        if pieces.len() == cancel { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let said = generate(&mut context, scores, &rules, &mut on_piece).unwrap();
    assert_eq!(pieces.concat(), said.text);
    // An end token is likely or not, too, and no piece.
    assert!(sum >= said.log_probability);
    assert!(said.finish == Finish::Stop || sum == said.log_probability);
    assert_eq!(fake.told, *told);
    let heard = (pieces, said.prompt_tokens, said.completion_tokens, said.finish);
    (heard, said)
}

proptest! {
    #[test]
    fn a_text_is_the_same_with_guesses_and_without(
        seed in any::<u64>(),
        vocabulary in 2u32..12,
        looks_back in 1usize..4,
        prompt in prop::collection::vec(0u32..12, 1..60),
        max_tokens in 0usize..60,
        ends in prop::collection::vec(0u32..40, 0..2),
        stop in prop::collection::vec("[a-eé]{1,3}", 0..3),
        cancel in 1usize..90,
        temperature in prop::sample::select(vec![0.0, 0.0, 0.0, 0.8]),
    ) {
        let fake = || Fake { seed, vocabulary, looks_back, ..Fake::default() };
        let sampling = Sampling { temperature, ..likes(max_tokens, &stop) };
        let rules = (&sampling, &ends[..], cancel);
        let (mut plain, mut guessing, mut told) = (fake(), fake(), Vec::new());
        let (wanted, by_itself) = heard(&mut plain, &mut Vec::new(), &prompt, rules, false);
        let (got, said) = heard(&mut guessing, &mut told, &prompt, rules, true);
        prop_assert_eq!(&got, &wanted);
        prop_assert_eq!((by_itself.drafted, by_itself.accepted), (0, 0));
        prop_assert!(said.accepted <= said.drafted && said.accepted <= said.completion_tokens + 1);
        prop_assert!(guessing.passes <= plain.passes);
        // Another prompt that begins like all that was said.
        let half = guessing.told.len() / 2 + 1;
        let next = [&guessing.told[..half], &[1, 0]].concat();
        let (wanted, _) = heard(&mut fake(), &mut Vec::new(), &next, rules, false);
        let (got, _) = heard(&mut guessing, &mut told, &next, rules, true);
        prop_assert_eq!(got, wanted);
    }

    #[test]
    fn probabilities_are_those_of_the_scores_and_leave_no_trace(
        seed in any::<u64>(),
        prompt in prop::collection::vec(0u32..6, 1..40),
        texts in prop::collection::vec(prop::collection::vec(0u32..6, 0..70), 0..4),
    ) {
        let mut fake = Fake { seed, vocabulary: 6, looks_back: 3, ..Fake::default() };
        let mut told = Vec::new();
        let mut context = Context { model: &mut fake, told: &mut told, name: "fake" };
        let scores = context.tell(&prompt, &mut go_on).unwrap().unwrap();
        let sums = score(&mut context, &scores, &texts).unwrap();
        prop_assert_eq!(&context.told[..], &prompt[..]);
        prop_assert_eq!(&fake.told, &prompt);
        for (text, sum) in texts.iter().zip(sums) {
            let mut wanted = 1f64;
            let mut so_far = prompt.clone();
            for token in text {
                let weights: Vec<f64> =
                    fake.scores(&so_far).iter().map(|score| f64::from(*score).exp()).collect();
                wanted *= weights[*token as usize] / weights.iter().sum::<f64>();
                so_far.push(*token);
            }
            prop_assert!(sum <= 0.0 && (sum - wanted.ln()).abs() < 1e-9 * wanted.ln().abs().max(1.0));
        }
    }
}

#[test]
fn guesses_save_passes_where_a_text_repeats_itself() {
    let mut saved = HashMap::new();
    for is_guessing in [false, true] {
        let mut fake = Fake { seed: 3, vocabulary: 8, looks_back: 1, ..Fake::default() };
        let sampling = likes(100, &[]);
        let rules = (&sampling, &[][..], 0);
        let (_, said) = heard(&mut fake, &mut Vec::new(), &[2, 3], rules, is_guessing);
        saved.insert(is_guessing, fake.passes);
        assert_eq!(said.accepted > 60, is_guessing, "{said:?}");
    }
    assert!(saved[&false] == 100 && saved[&true] < 40, "{saved:?}");
}

#[test]
fn one_token_is_scored_without_a_pass_of_its_own() {
    let mut fake = Fake { vocabulary: 6, looks_back: 2, ..Fake::default() };
    let mut context = Context { model: &mut fake, told: &mut Vec::new(), name: "fake" };
    let scores = context.tell(&[1, 2, 3], &mut go_on).unwrap().unwrap();
    score(&mut context, &scores, &[vec![1], vec![4], vec![]]).unwrap();
    assert_eq!((context.model.passes, context.model.computed), (1, 3));
    score(&mut context, &scores, &[vec![1, 2, 3]]).unwrap();
    assert_eq!((context.model.passes, context.model.computed), (2, 5));
    assert!(score(&mut context, &scores, &[vec![6]]).is_err(), "no such token");
    assert!(score(&mut context, &[f32::NAN; 6], &[vec![1]]).is_err());
}

#[test]
fn scores_that_are_no_numbers_are_an_error() {
    let sampling = likes(4, &[]);
    let rules =
        Rules { sampling: &sampling, ends: &[], room: 4, decode: &decode, is_guessing: true };
    let mut fake = Fake { vocabulary: 6, looks_back: 2, ..Fake::default() };
    let mut context = Context { model: &mut fake, told: &mut Vec::new(), name: "fake" };
    let error = generate(&mut context, vec![f32::NAN; 6], &rules, &mut |_| go_on()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
}

#[test]
fn a_pass_that_fails_leaves_nothing() {
    let prompt: Vec<u32> = (0..3 * PREFILL as u32 + 4).map(|n| n % 7).collect();
    for fails_at in 1..=4 {
        let fails_at = Some(fails_at);
        let mut fake = Fake { vocabulary: 7, looks_back: 2, fails_at, ..Fake::default() };
        let mut told = Vec::new();
        let mut context = Context { model: &mut fake, told: &mut told, name: "fake" };
        let error = context.tell(&prompt, &mut go_on).unwrap_err();
        assert_eq!(error.to_string(), "fake failed");
        assert!(context.told.is_empty() && context.model.told.is_empty());
        assert_eq!(context.holds(&prompt), 0);
        let wanted = context.model.scores(&prompt);
        assert_eq!(context.tell(&prompt, &mut go_on).unwrap(), Some(wanted));
    }
}

#[test]
fn only_what_is_new_of_a_prompt_is_computed() {
    let mut fake = Fake { vocabulary: 7, looks_back: 2, ..Fake::default() };
    let mut told = Vec::new();
    let mut context = Context { model: &mut fake, told: &mut told, name: "fake" };
    let prompt: Vec<u32> = (0..10 * PREFILL as u32).map(|n| n % 7).collect();
    let mut tell = |prompt: &[u32], stop_at: usize| {
        let mut pieces = 0;
        let mut go_on = || {
            if pieces == stop_at {
                return ControlFlow::Break(());
            }
            pieces += 1;
            ControlFlow::Continue(())
        };
        let scores = context.tell(prompt, &mut go_on).unwrap();
        assert_eq!(context.model.told, *context.told);
        (pieces, scores == Some(context.model.scores(prompt)))
    };
    assert_eq!(tell(&prompt, 4), (4, false));
    assert_eq!(tell(&prompt, 99), (6, true));
    assert_eq!(tell(&prompt, 99), (1, true));
    let mut other = prompt.clone();
    other[8 * PREFILL] += 1;
    assert_eq!(tell(&other, 99), (2, true));
    assert_eq!(tell(&prompt[..PREFILL], 99), (1, true));
    assert_eq!(tell(&prompt[1..], 99), (10, true));
}

fn prompt(system: &str, user: &str) -> Prompt {
    let message = |role, content: &str| Message { role, content: content.to_owned() };
    Prompt {
        messages: vec![message(Role::System, system), message(Role::User, user)],
        opening: "the steam".to_owned(),
    }
}

fn load(tiny: &Tiny) -> Llm {
    // Some have the same vocabulary, and nothing else tells their prefixes apart.
    let sha256 = format!("{}-0123456789abcdef0123", tiny.architecture);
    Llm::load(tiny.file().path(), tiny.architecture, &sha256, None).unwrap()
}

#[test]
fn a_real_forward_pass_says_the_same_with_guesses() {
    for architecture in KNOWN {
        let mut llm = load(&Tiny::new(architecture));
        let prompt = prompt("be brief.", &"steam the plank. ".repeat(9));
        let tokens = llm.tokens(&prompt).unwrap();
        let mut said = |is_guessing| {
            let scores = llm.tell(&prompt, &tokens, &mut go_on).unwrap().unwrap();
            let sampling = likes(120, &[]);
            let decode = &|tokens: &[u32]| llm.vocabulary.decode(tokens);
            let rules = Rules { sampling: &sampling, ends: &[], room: 120, decode, is_guessing };
            let mut context = Context { model: &mut llm.model, told: &mut llm.told, name: "tiny" };
            generate(&mut context, scores, &rules, &mut |_| go_on()).unwrap()
        };
        let (plain, guessing) = (said(false), said(true));
        assert_eq!(plain.text, guessing.text, "{architecture}");
        assert_eq!(plain.completion_tokens, guessing.completion_tokens);
        assert!(guessing.drafted > 0, "{architecture}: {guessing:?}");
    }
}

/// In how many pieces a prompt is told.
/// Pieces of a prompt that are computed, by how often it is asked whether to go on: before each of
/// the layers.
fn pieces(llm: &mut Llm, prompt: &Prompt, layers: usize) -> usize {
    let mut pieces = 0;
    let mut on_piece = |_: Written<'_>| {
        pieces += 1;
        ControlFlow::Continue(())
    };
    llm.generate(prompt, &likes(0, &[]), &mut on_piece).unwrap();
    assert_eq!(pieces % layers, 0);
    pieces / layers
}

fn said(llm: &mut Llm, prompt: &Prompt) -> Generated {
    llm.generate(prompt, &likes(6, &[]), &mut |_| go_on()).unwrap()
}

#[test]
fn the_beginning_of_prompts_is_computed_once_for_all_starts() {
    let folder = tempfile::tempdir().unwrap();
    let files = || {
        let mut files: Vec<PathBuf> =
            fs_err::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    for architecture in KNOWN {
        let start = || {
            let mut llm = load(&Tiny::new(architecture));
            llm.keep_prefixes(folder.path()).unwrap();
            llm
        };
        let system = "steam the plank for an hour. ".repeat(24);
        let [first, second] = ["Apples?", "why so."].map(|user| prompt(&system, user));
        // Told in the same pieces, so that the same numbers come out whatever multiplies them.
        let wanted = [&first, &second].map(|prompt| {
            let mut llm = load(&Tiny::new(architecture));
            let tokens = llm.tokens(prompt).unwrap();
            let fixed = llm.fixed(prompt, &tokens);
            let mut context = Context { model: &mut llm.model, told: &mut llm.told, name: "tiny" };
            context.tell(&tokens[..fixed], &mut go_on).unwrap();
            (fixed, said(&mut llm, prompt))
        });
        let before = files();
        assert_eq!(said(&mut start(), &first), wanted[0].1, "{architecture}");
        let after = files();
        assert_eq!(after.len(), before.len() + 1, "{architecture}");
        assert_eq!(said(&mut start(), &second), wanted[1].1, "{architecture}");
        let new = wanted[1].1.prompt_tokens - wanted[1].0;
        let layers = Tiny::new(architecture).layers;
        assert_eq!(pieces(&mut start(), &second, layers), new.div_ceil(PREFILL), "{architecture}");
        assert!(wanted[1].0 > 2 * PREFILL);
        assert_eq!(files(), after);
        // A broken file is computed anew.
        let path = after.iter().find(|path| !before.contains(path)).unwrap();
        let whole = fs_err::read(path).unwrap();
        fs_err::write(path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(said(&mut start(), &first), wanted[0].1, "{architecture}");
        assert_eq!(fs_err::read(path).unwrap(), whole);
    }
}

#[test]
fn what_prompts_have_in_common_is_their_instructions() {
    for architecture in KNOWN {
        let llm = load(&Tiny::new(architecture));
        for user in ["Apples?", "7 planks", "why so", "é"] {
            let tokens = |system: &str| llm.tokens(&prompt(system, user)).unwrap();
            let fixed = llm.fixed(&prompt("be brief.", user), &tokens("be brief."));
            let longer = llm.fixed(&prompt("be brief!!", user), &tokens("be brief!!"));
            assert_eq!(longer, fixed + 1, "{architecture}");
            let text = llm.vocabulary.decode(&tokens("be brief.")[..fixed]).unwrap();
            assert!(text.contains("be brief.") && text.trim_end().ends_with("user"), "{text:?}");
        }
        let bare = Prompt { messages: vec![], opening: "steam".to_owned() };
        assert!(llm.fixed(&bare, &llm.tokens(&bare).unwrap()) < 12);
    }
}

#[test]
fn texts_are_scored_after_a_prompt() {
    for architecture in KNOWN {
        let mut llm = load(&Tiny::new(architecture));
        let asked = prompt("be brief.", "why?");
        let before = llm.generate(&asked, &likes(8, &[]), &mut |_| go_on()).unwrap();
        let texts = [" yes", " the steam", "s", "", " yes"];
        let scores = llm.score(&asked, &texts, &mut go_on).unwrap();
        assert_eq!(llm.told, llm.tokens(&asked).unwrap());
        assert!(scores.iter().all(|score| *score <= 0.0 && score.is_finite()), "{scores:?}");
        assert!(scores[3] == 0.0 && scores[0] == scores[4] && scores[2] < 0.0, "{scores:?}");
        let longer = llm.score(&asked, &[" yes the steam"], &mut go_on).unwrap()[0];
        assert!(longer < scores[0]);
        let after = llm.generate(&asked, &likes(8, &[]), &mut |_| go_on()).unwrap();
        assert_eq!(before, after, "{architecture}");
        let long = " the steam".repeat(600);
        let error = llm.score(&asked, &[&long], &mut go_on).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLong);
        let error = llm.score(&prompt("", &long), &["s"], &mut go_on).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLong);
        assert!(llm.score(&asked, &[], &mut go_on).unwrap().is_empty());
    }
}
