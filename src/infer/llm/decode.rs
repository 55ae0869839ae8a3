//! Scores → tokens → text, and how likely a text is.

use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use candle_transformers::generation::LogitsProcessor;

use super::constraint::Constraint;
use super::context::{Context, Model};
use super::draft::Drafter;
use super::stream::{Decoder, StopTexts};
use crate::base::error::{Error, ErrorKind, Result};
use crate::infer::{Finish, Generated, Sampling, Written};

/// Tokens whose scores are computed at once: those of each are as many as the vocabulary.
const SCORED: usize = 32;

/// How a generation goes.
pub(super) struct Rules<'a> {
    pub(super) sampling: &'a Sampling,
    /// Tokens that end it.
    pub(super) ends: &'a [u32],
    /// Tokens at the most.
    pub(super) room: usize,
    /// Tokens → text.
    pub(super) decode: &'a dyn Fn(&[u32]) -> std::result::Result<String, String>,
    /// Whether tokens are guessed ahead where the likeliest are taken. The text is the same.
    pub(super) is_guessing: bool,
}

/// Goes on from what the model was told, after which the next token has these scores.
///
/// # Errors
/// If the model fails, or what it says can't be read.
pub(super) fn generate<M: Model>(
    context: &mut Context<'_, M>,
    mut scores: Vec<f32>,
    rules: &Rules<'_>,
    on_piece: &mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
) -> Result<Generated> {
    let mut output = Output::new(rules, context.told.len(), on_piece);
    if rules.room == 0 {
        return output.end(Finish::Length);
    }
    let mut choice = Choice::new(rules.sampling);
    let is_guessing = rules.is_guessing && matches!(choice, Choice::Likeliest);
    let mut drafter = is_guessing.then(|| Drafter::new(context.told));
    loop {
        let token = choice.of(&scores)?;
        if let Some(finish) = output.take(token, log_share(&scores, token)?)? {
            return output.end(finish);
        }
        let left = rules.room - output.result.completion_tokens;
        if left == 0 {
            return output.end(Finish::Length);
        }
        let Some(drafter) = &mut drafter else {
            scores = context.forward(&[token])?;
            continue;
        };
        drafter.push(token);
        // A pass says one token more than it is given guesses.
        let draft = drafter.draft(left - 1);
        if draft.is_empty() {
            scores = context.forward(&[token])?;
            continue;
        }
        let held = context.told.len();
        let each = context.forward_each(&[&[token], &draft[..]].concat())?;
        let size = each.len() / (draft.len() + 1);
        let (mut accepted, mut finish) = (0, None);
        for (guess, scores) in draft.iter().zip(each.chunks_exact(size)) {
            if likeliest(scores)? != *guess {
                break;
            }
            accepted += 1;
            drafter.push(*guess);
            finish = output.take(*guess, log_share(scores, *guess)?)?;
            if finish.is_some() {
                break;
            }
        }
        output.result.drafted += draft.len();
        output.result.accepted += accepted;
        context.truncate(held + 1 + accepted);
        if let Some(finish) = finish {
            return output.end(finish);
        }
        drafter.learn(draft.len(), accepted);
        scores = each[accepted * size..][..size].to_vec();
    }
}

/// As [`generate`], but only what a constraint allows. What it leaves no choice about goes through the
/// model together with what comes before it, and is as good as certain.
///
/// # Errors
/// As [`generate`]; if the constraint can't be followed any further.
pub(super) fn generate_by<M: Model>(
    constraint: &mut Constraint,
    context: &mut Context<'_, M>,
    mut scores: Vec<f32>,
    rules: &Rules<'_>,
    on_piece: &mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
) -> Result<Generated> {
    let mut output = Output::new(rules, context.told.len(), on_piece);
    let mut choice = Choice::new(rules.sampling);
    let mut untold = Vec::new();
    loop {
        for token in constraint.forced()? {
            if output.result.completion_tokens == rules.room {
                return output.end(Finish::Length);
            }
            if let Some(finish) = output.take(token, 0.0)? {
                return output.end(finish);
            }
            untold.push(token);
        }
        if constraint.is_over() {
            return output.end(Finish::Stop);
        }
        if output.result.completion_tokens == rules.room {
            return output.end(Finish::Length);
        }
        if !untold.is_empty() {
            scores = context.forward(&untold)?;
            untold.clear();
        }
        let token = choice.of(&constraint.allowed(&scores)?)?;
        if let Some(finish) = output.take(token, log_share(&scores, token)?)? {
            return output.end(finish);
        }
        constraint.take(token)?;
        untold.push(token);
    }
}

/// The natural logarithm of how likely each continuation is after what the model was told, after
/// which the next token has these scores. The model holds as much afterwards as before.
///
/// # Errors
/// If the model fails.
pub(super) fn score<M: Model>(
    context: &mut Context<'_, M>,
    scores: &[f32],
    continuations: &[Vec<u32>],
) -> Result<Vec<f64>> {
    let held = context.told.len();
    let mut sums = Vec::with_capacity(continuations.len());
    for tokens in continuations {
        let Some((first, rest)) = tokens.split_first() else {
            sums.push(0.0);
            continue;
        };
        let mut sum = log_share(scores, *first)?;
        // Nobody asks what comes after the last.
        let given = &tokens[..rest.len()];
        for (given, next) in given.chunks(SCORED).zip(rest.chunks(SCORED)) {
            let each = context.forward_each(given)?;
            for (scores, token) in each.chunks_exact(each.len() / given.len()).zip(next) {
                sum += log_share(scores, *token)?;
            }
        }
        context.truncate(held);
        sums.push(sum);
    }
    Ok(sums)
}

/// How the next token is chosen.
enum Choice {
    Likeliest,
    Drawn(Box<LogitsProcessor>),
}

impl Choice {
    fn new(sampling: &Sampling) -> Choice {
        if sampling.temperature > 0.0 {
            let drawn = LogitsProcessor::new(sampling.seed, Some(sampling.temperature), None);
            return Choice::Drawn(Box::new(drawn));
        }
        Choice::Likeliest
    }

    fn of(&mut self, scores: &[f32]) -> Result<u32> {
        match self {
            Choice::Likeliest => likeliest(scores),
            Choice::Drawn(drawn) => Tensor::new(scores, &Device::Cpu)
                .and_then(|scores| drawn.sample(&scores))
                .map_err(|error| unreadable().caused_by(error.to_string())),
        }
    }
}

/// The token with the highest score; of several the first.
fn likeliest(scores: &[f32]) -> Result<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (token, score) in scores.iter().enumerate() {
        if best.map_or(!score.is_nan(), |(_, best)| *score > best) {
            best = Some((token, *score));
        }
    }
    best.and_then(|(token, _)| u32::try_from(token).ok()).ok_or_else(unreadable)
}

/// The natural logarithm of a token's probability.
fn log_share(scores: &[f32], token: u32) -> Result<f64> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = |score: f32| f64::from(score) - f64::from(most);
    let sum: f64 = scores.iter().map(|score| above(*score).exp()).sum();
    let score = usize::try_from(token).ok().and_then(|token| scores.get(token));
    let share = score.map(|score| (above(*score) - sum.ln()).min(0.0));
    share.filter(|_| sum.is_finite()).ok_or_else(unreadable)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Model, "the LLM's output can't be read")
}

/// Where the tokens of a generation go, one after the other, guessed or not.
struct Output<'a> {
    rules: &'a Rules<'a>,
    decoder: Decoder,
    stops: StopTexts<'a>,
    on_piece: &'a mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
    result: Generated,
    /// No more text is given on.
    is_closed: bool,
}

impl<'a> Output<'a> {
    fn new(
        rules: &'a Rules<'a>,
        prompt_tokens: usize,
        on_piece: &'a mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
    ) -> Output<'a> {
        Output {
            rules,
            decoder: Decoder::default(),
            stops: StopTexts::new(&rules.sampling.stop),
            on_piece,
            result: Generated::empty(prompt_tokens, Finish::Length),
            is_closed: false,
        }
    }

    /// Takes the next token, with the natural logarithm of how likely it was, and says whether it was
    /// the last, and why.
    fn take(&mut self, token: u32, log_probability: f64) -> Result<Option<Finish>> {
        self.result.log_probability += log_probability;
        if self.rules.ends.contains(&token) {
            return Ok(Some(Finish::Stop));
        }
        self.result.completion_tokens += 1;
        let piece = self
            .decoder
            .push(token, self.rules.decode)
            .map_err(|error| unreadable().caused_by(error))?;
        let (text, stopped) = self.stops.push(&piece);
        self.result.text.push_str(&text);
        let piece = Written { text: &text, log_probability: Some(log_probability) };
        let is_broken_off = (self.on_piece)(piece).is_break();
        self.is_closed = stopped || is_broken_off;
        Ok(match (stopped, is_broken_off) {
            (true, _) => Some(Finish::Stop),
            (false, true) => Some(Finish::Cancelled),
            (false, false) => None,
        })
    }

    /// Gives on what was held back.
    fn end(mut self, finish: Finish) -> Result<Generated> {
        self.result.finish = finish;
        if self.is_closed {
            return Ok(self.result);
        }
        let rest = self
            .decoder
            .finish(self.rules.decode)
            .map_err(|error| unreadable().caused_by(error))?;
        let (mut rest, stopped) = self.stops.push(&rest);
        if stopped {
            self.result.finish = Finish::Stop;
        } else {
            rest.push_str(&self.stops.finish());
        }
        if !rest.is_empty() {
            self.result.text.push_str(&rest);
            let _ = (self.on_piece)(Written { text: &rest, log_probability: None });
        }
        Ok(self.result)
    }
}
