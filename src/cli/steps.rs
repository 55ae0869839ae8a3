//! What to do next, as commands.

use std::borrow::Cow;

use crate::base::error::Step;

/// All of an error's steps in one line; nothing if it has none.
pub(super) fn said(steps: &[Step]) -> Option<String> {
    let said: Vec<_> = steps.iter().map(step).collect();
    (!said.is_empty()).then(|| said.join("; or "))
}

fn step(step: &Step) -> Cow<'_, str> {
    match step {
        Step::Say(text) => return text.into(),
        Step::AddSource => "add a source: wellread add FEED",
        Step::ListSources => "look at the sources: wellread sources",
        Step::Sync => "bring the index up to date: wellread sync",
        Step::Rebuild => "rebuild the index from the library: wellread index rebuild",
        Step::ListGenerations => "look at what is there: wellread index status",
        Step::Pull => "bring the index here: wellread index pull",
        Step::EmbedShard => "make it again: wellread embed --shard I/N FILE",
        Step::ListModels => "look at the models: wellread models list",
        Step::FetchModel(name) => {
            return format!("fetch it while online: wellread models fetch {name}").into();
        }
        Step::VerifyModels => "check the models: wellread models verify",
        Step::ListRuns => "look at the runs: wellread eval list",
        Step::RestartRun => "start over: wellread eval run … --fresh",
        Step::ImportCorpus => "import the corpus: wellread eval import beir FOLDER",
        Step::Diagnose => "check the setup: wellread doctor",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_choices_in_one_line() {
        assert_eq!(said(&[]), None);
        let steps = [Step::Say("set them back".to_owned()), Step::Pull];
        let wanted = "set them back; or bring the index here: wellread index pull";
        assert_eq!(said(&steps).as_deref(), Some(wanted));
    }

    /// One of each kind.
    #[test]
    fn steps_as_users_read_them() {
        let all = [
            Step::Say("set them back".to_owned()),
            Step::AddSource,
            Step::ListSources,
            Step::Sync,
            Step::Rebuild,
            Step::ListGenerations,
            Step::Pull,
            Step::EmbedShard,
            Step::ListModels,
            Step::FetchModel("all-minilm-l6-v2".to_owned()),
            Step::VerifyModels,
            Step::ListRuns,
            Step::RestartRun,
            Step::ImportCorpus,
            Step::Diagnose,
        ];
        insta::assert_snapshot!(all.iter().map(step).collect::<Vec<_>>().join("\n"));
    }
}
