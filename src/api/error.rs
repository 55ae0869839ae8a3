//! The JSON shape of an error, and what can be done about it in words that hold at every door.

use std::borrow::Cow;

use serde::Serialize;

use crate::base::error::{Error, ErrorKind, Step};

/// An error; schema `schema/error.json`.
#[derive(Debug, Serialize)]
pub struct ErrorShape {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// The one member of [`ErrorShape`].
#[derive(Debug, Serialize)]
pub struct ErrorDetail {
    /// The class, as `not_found`.
    pub kind: ErrorKind,
    /// What is wrong with which thing, with its causes.
    pub message: String,
    /// What can be done next, the first choice first.
    pub steps: Vec<String>,
}

impl ErrorShape {
    /// The JSON shape of an error.
    pub fn new(error: &Error) -> ErrorShape {
        let steps = error.steps().iter().map(|step| step_in_words(step).into_owned()).collect();
        ErrorShape { error: ErrorDetail { kind: error.kind(), message: error.chain(), steps } }
    }
}

/// An error with what can be done about it, in words that name no command.
pub fn error_in_words(error: &Error) -> String {
    let mut text = error.chain();
    let steps: Vec<_> = error.steps().iter().map(step_in_words).collect();
    if !steps.is_empty() {
        text.push_str("; ");
        text.push_str(&steps.join("; or "));
    }
    text
}

fn step_in_words(step: &Step) -> Cow<'_, str> {
    match step {
        Step::Say(text) => return text.into(),
        Step::AddSource => "add a source",
        Step::ListSources => "look at the sources",
        Step::Sync => "bring the index up to date",
        Step::Rebuild => "rebuild the index from the library",
        Step::ListGenerations => "look at the generations of the index",
        Step::Pull => "bring the index from the server to this machine",
        Step::EmbedShard => "compute that share of the vectors again",
        Step::ListModels => "look at the models",
        Step::FetchModel(name) => {
            return format!("fetch the model {name} while online").into();
        }
        Step::VerifyModels => "check the files of the models",
        Step::ListRuns => "look at the runs of evaluations",
        Step::RestartRun => "begin the run anew",
        Step::ImportCorpus => "import the corpus",
        Step::Diagnose => "check models, library, index and machine with the doctor",
    }
    .into()
}
