//! An answer as JSON of a schema: written by the LLM, its values checked against the passages, and
//! what they don't support taken out.

mod prune;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::Asked;
use super::cite::{Checker, Evidence, Missing, Subject, Support, SupportOptions};
use super::llm::Llm;
use super::tidy::ITEM;
use super::{
    AbstainReason, Answer, AnswerSentence, AnswerStatus, DropReason, DroppedSentence, OnSaid, Said,
    joined,
};
use crate::base::error::{Error, ErrorKind, Result};
use crate::infer::schema::{Schema, Step};
use crate::infer::{Finish, Sampling};
use crate::retrieve::Passage;

/// The JSON of an answer, and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// The document, which follows the schema; null if the articles don't say.
    pub value: Value,
    /// Each value in it that was checked, in order. What the schema lists to choose from, true, false
    /// and null are not.
    pub members: Vec<DataMember>,
    /// JSON pointers to what the passages don't support, in the document as the LLM wrote it. If the
    /// articles don't say, it could not be taken out of that without breaking the schema, or nothing
    /// else was left.
    pub removed: Vec<String>,
}

/// A value of an answer's JSON with the places that say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataMember {
    /// JSON pointer into the document (RFC 6901).
    pub pointer: String,
    /// Numbers of the passages that support it, best first.
    pub citations: Vec<usize>,
    /// Where each citation stands in the stored article.
    pub evidence: Vec<Evidence>,
}

/// A value that was checked, or the name of a member that the LLM chose.
struct Checked {
    path: Vec<Step>,
    /// As it is shown.
    text: String,
    support: Support,
}

impl Checked {
    /// Where it stands, if passages support it.
    fn evidence(&self) -> Option<&[Evidence]> {
        match &self.support {
            Support::Supported { evidence } => Some(evidence),
            _ => None,
        }
    }

    fn dropped(&self) -> DroppedSentence {
        let missing = match &self.support {
            Support::Unsupported { missing } => missing.clone(),
            _ => Missing::Words,
        };
        let text = format!("{}: {}", pointer(&self.path), self.text);
        DroppedSentence { text, why: DropReason::Unsupported(missing) }
    }

    fn member(&self) -> Option<DataMember> {
        let evidence = self.evidence()?.to_vec();
        let citations = evidence.iter().map(|place| place.n).collect();
        Some(DataMember { pointer: pointer(&self.path), citations, evidence })
    }
}

impl Asked<'_> {
    /// Has the LLM fill in a schema, and keeps what holds.
    pub(super) fn fill(
        &self,
        schema: &Schema,
        answer: &mut Answer,
        llm: &mut Llm<'_>,
        on_said: OnSaid<'_>,
    ) -> Result<()> {
        let sampling = Sampling {
            max_tokens: self.options.max_tokens,
            temperature: self.options.temperature,
            seed: self.options.seed,
            stop: vec![],
            schema: Some(schema.clone()),
        };
        let mut first_token_ms = 0;
        let (prompt, cancel) = (llm.prompts.filled(&schema.text())?, llm.cancel);
        let generation = llm.generator.generate(&prompt, &sampling, &mut |piece| {
            if first_token_ms == 0 && !piece.text.is_empty() {
                first_token_ms = self.elapsed();
            }
            if cancel.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        cancel.check()?;
        answer.note(&generation, first_token_ms);
        let written = read(&generation.text, generation.finish, sampling.max_tokens)?;
        let settled =
            settle(written, schema, self.question, &answer.passages, self.options.support)?;
        for dropped in &settled.dropped {
            on_said(Said::Dropped(dropped))?;
        }
        for sentence in &settled.sentences {
            on_said(Said::Sentence(sentence))?;
        }
        if settled.sentences.is_empty() {
            answer.abstain_reason = Some(AbstainReason::Unsupported);
        } else {
            answer.status = AnswerStatus::Answered;
            answer.answer = joined(&settled.sentences);
        }
        answer.sentences = settled.sentences;
        answer.dropped = settled.dropped;
        answer.data = Some(settled.data);
        Ok(())
    }
}

/// What is left of what the LLM wrote.
struct Settled {
    data: Data,
    /// The values in it; none if the articles don't say.
    sentences: Vec<AnswerSentence>,
    dropped: Vec<DroppedSentence>,
}

/// Takes out of a document that follows a schema what passages don't support.
fn settle(
    written: Value,
    schema: &Schema,
    question: &str,
    passages: &[Passage],
    options: SupportOptions,
) -> Result<Settled> {
    let checker = Checker::alone(passages, options);
    let check = |value: &Value| checked(value, schema, &checker, question);
    let first = check(&written);
    let (held, refused): (Vec<&Checked>, Vec<&Checked>) =
        first.iter().partition(|one| one.evidence().is_some());
    let dropped = refused.iter().map(|one| one.dropped()).collect();
    let paths = |all: &[&Checked]| all.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
    let (held, refused) = (paths(&held), paths(&refused));
    let removed = refused.iter().map(|path| pointer(path)).collect();
    let validator = schema.validator()?;
    let left = prune::prune(written, (&held, &refused), schema, &|value| validator.accepts(value));
    // A path is another one where items before it are gone.
    let mut last = left.as_ref().map(check).unwrap_or_default();
    // The value stands for its name, if it was checked, too.
    last.dedup_by(|value, name| {
        name.path == value.path && {
            std::mem::swap(value, name);
            true
        }
    });
    let members: Vec<DataMember> = last.iter().filter_map(Checked::member).collect();
    let (value, members) = match left {
        Some(value) if !members.is_empty() => (value, members),
        _ => (Value::Null, Vec::new()),
    };
    let sentences = members.iter().map(|member| sentence(member, &value)).collect();
    Ok(Settled { data: Data { value, members, removed }, sentences, dropped })
}

/// What the LLM wrote, if it came to its end.
fn read(text: &str, finish: Finish, max_tokens: usize) -> Result<Value> {
    if finish != Finish::Stop {
        return Err(Error::new(
            ErrorKind::TooLong,
            format!("the JSON was not at its end after {max_tokens} tokens"),
        )
        .hint("allow more (--max-tokens), or have the schema ask for less: \"maxLength\", \"maxItems\""));
    }
    serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Bug, "what the LLM wrote by a schema is not JSON").caused_by(error)
    })
}

/// The values of a document that say something which the schema does not say already, checked, in
/// order.
fn checked(
    document: &Value,
    schema: &Schema,
    checker: &Checker<'_>,
    question: &str,
) -> Vec<Checked> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    visit(document, &mut path, &mut |path, value| {
        let mut check = |text: String, of: &[Step]| {
            let names = of.iter().filter_map(|step| match step {
                Step::Member(name) => Some(name.as_str()),
                Step::Item(_) => None,
            });
            let subject = Subject::new(question, &names.collect::<Vec<_>>());
            let support = checker.check_value(&text, &subject);
            found.push(Checked { path: path.to_vec(), text, support });
        };
        if !schema.names(path)
            && let Some((Step::Member(name), parent)) = path.split_last()
        {
            check(name.clone(), parent);
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => figure(number),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return,
        };
        if !schema.lists(path, value) {
            check(text, path);
        }
    });
    found
}

/// A number as texts write it, without an exponent.
fn figure(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => format!("{value}"),
        _ => number.to_string(),
    }
}

/// Goes through a value and all in it, outermost first.
fn visit(value: &Value, path: &mut Vec<Step>, on_value: &mut dyn FnMut(&[Step], &Value)) {
    on_value(path, value);
    let mut within = |step: Step, value: &Value| {
        path.push(step);
        visit(value, path, on_value);
        path.pop();
    };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| within(Step::Member(name.clone()), value));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| within(Step::Item(n), value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A path as a JSON pointer.
fn pointer(path: &[Step]) -> String {
    let part = |step: &Step| match step {
        Step::Member(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        Step::Item(n) => format!("/{n}"),
    };
    path.iter().map(part).collect()
}

/// A value that holds as a line of the answer.
fn sentence(member: &DataMember, document: &Value) -> AnswerSentence {
    let DataMember { pointer, citations, evidence } = member.clone();
    let value = match document.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        value => value.map(Value::to_string).unwrap_or_default(),
    };
    let name = if pointer.is_empty() { String::new() } else { format!("{pointer}: ") };
    AnswerSentence { text: format!("{ITEM}{name}{value}"), citations, evidence, signals: None }
}

#[cfg(test)]
mod tests;
