//! Warnings in words; what to do about them, as commands.

use crate::base::Warning;

/// A warning as a user reads it.
pub(super) fn said(warning: &Warning) -> String {
    match warning {
        Warning::IndexBusy { holder } => {
            format!("another wellread (process {holder}) is writing the index; waiting for it")
        }
        Warning::Source { source, what } => format!("{source}: {what}"),
        Warning::NoArticles(source) => format!("{source} holds no articles"),
        Warning::LeftOut { source, what } => format!("left out of {source}: {what}"),
        Warning::NoText(title) => format!("\"{title}\" has no text that could be indexed"),
        Warning::NotIndexed(what) => format!("left out of the index: {what}"),
        Warning::Mended { typed, meant } => {
            format!("no article has the word “{typed}”; searched for “{meant}”")
        }
        Warning::Pending(1) => {
            "1 article has changed since the index was made; `wellread sync` indexes it".to_owned()
        }
        Warning::Pending(count) => format!(
            "{count} articles have changed since the index was made; `wellread sync` indexes them"
        ),
        Warning::Rebuilding(why) => format!("{why}; rebuilding the index"),
        Warning::TooManyListed { listed, read } => {
            format!("{listed} feeds are listed; the first {read} are read")
        }
        Warning::Model(what) => what.clone(),
        Warning::Question { id, why } => format!("{id}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SourceId;

    /// One of each kind.
    #[test]
    fn warnings_as_users_read_them() {
        let source = || SourceId("https://blog.example/feed.xml".to_owned());
        let what = || "notes/7.html: it has no title".to_owned();
        let all = [
            Warning::IndexBusy { holder: "4711".to_owned() },
            Warning::Source { source: source(), what: "one date can't be read".to_owned() },
            Warning::NoArticles(source()),
            Warning::LeftOut { source: source(), what: what() },
            Warning::NoText("A picture".to_owned()),
            Warning::NotIndexed("\"A riddle\": the tokenizer fails".to_owned()),
            Warning::Pending(1),
            Warning::Pending(12),
            Warning::Mended { typed: "varnsh".to_owned(), meant: "varnish".to_owned() },
            Warning::Rebuilding("the index is damaged".to_owned()),
            Warning::TooManyListed { listed: 1200, read: 1000 },
            Warning::Model("the packed weights can't be kept".to_owned()),
            Warning::Question { id: "s02".to_owned(), why: "the LLM failed".to_owned() },
        ];
        insta::assert_snapshot!(all.iter().map(said).collect::<Vec<_>>().join("\n"));
    }
}
