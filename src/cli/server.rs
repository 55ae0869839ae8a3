//! Questions handed to a server that runs already.

use super::app::App;
use crate::base::error::Result;
use crate::engine::Question;
use crate::infer::schema::Schema;
use crate::serve::local::{Alone, Handed, settings};
use crate::source::fetch::Source;

/// A question as a running server takes it; `None` if none can: standard input is this process's
/// own.
pub(super) fn handed(
    app: &App<'_>,
    question: &Question<'_>,
    limit: usize,
    quotes_only: bool,
    schema: Option<&Schema>,
) -> Result<Option<Handed>> {
    if question.sources.contains(&Source::Stdin) {
        return Ok(None);
    }
    Ok(Some(Handed {
        settings: settings(app.kb()?.config()),
        text: question.text.to_owned(),
        filter: question.filter.clone(),
        sources: question.sources.iter().map(|source| source.id().0).collect(),
        limit,
        quotes_only,
        schema: schema.cloned(),
    }))
}

/// What a server answered; `None`, with a word for those who want it, if it did not.
pub(super) fn or_alone<T>(app: &App<'_>, answered: Result<T, Alone>) -> Option<T> {
    match answered {
        Ok(answered) => {
            app.ui.detail("Answered by the running server");
            Some(answered)
        }
        Err(Alone::OtherSettings) => {
            app.ui.detail("The running server has other settings; answering here");
            None
        }
        Err(Alone::NoServer) => None,
    }
}
