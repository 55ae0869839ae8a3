//! `eval claims`.

use super::super::Outcome;
use super::super::app::{App, filter};
use super::{bench_of, read_text};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{Event, Watch};
use crate::cli::args::EvalClaims;
use crate::eval::claims::{self, Checked, Labelled, Summary};
use crate::eval::stats::Estimate;

const TASK: &str = "Checking claims";

pub(super) fn run(app: &App<'_>, args: &EvalClaims) -> Result<Outcome> {
    let mut labelled = claims::parse(&read_text(&args.claims)?)?;
    labelled.retain(|claim| args.split.is_none() || claim.split == args.split);
    let checked = app.watched(|watch| {
        let kb = bench_of(app, &args.filter, watch)?;
        let library = kb.filled_library()?;
        let filter = filter(&args.filter)?;
        // Claims about articles that the library does not have say nothing of the check.
        let mut gold = Vec::new();
        for claim in &labelled {
            let mut articles = Vec::new();
            for place in &claim.gold {
                let article = match (&place.url, &place.doc) {
                    (Some(url), _) => library.article_by_url(url)?.map(|info| info.meta.id),
                    (None, Some(doc)) => library.find_by_guid(doc)?,
                    (None, None) => None,
                };
                articles.extend(article);
            }
            gold.push(articles);
        }
        let known: Vec<(&Labelled, _)> =
            labelled.iter().zip(&gold).filter(|(_, articles)| !articles.is_empty()).collect();
        if known.is_empty() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "the library has none of the articles that the claims are about",
            )
            .hint("name them with --source"));
        }
        let mut checked = Vec::new();
        let count = known.len();
        let quiet = Watch { events: &|_: Event| {}, cancel: watch.cancel };
        for (at, (label, articles)) in known.into_iter().enumerate() {
            watch.progress(TASK, at, count);
            let claims = kb.check_claims(&label.claim, &filter, &quiet)?;
            let checked_one = Checked::of(label, &claims, &|claim, n| {
                let mut passages = claim.passages.iter();
                passages.any(|passage| passage.n == n && articles.contains(&passage.article.id))
            });
            checked.push(checked_one);
        }
        watch.done(TASK);
        Ok(checked)
    })?;
    let summary = claims::summary(&checked);
    if app.json {
        app.ui.json(&serde_json::json!({ "summary": summary, "claims": checked }))?;
    } else {
        let mut text = table(&summary);
        let left_out = labelled.len() - checked.len();
        if left_out > 0 {
            text.push_str(&format!("{left_out} claims about articles not here were left out\n"));
        }
        app.ui.result(&text)?;
    }
    Ok(Outcome::Done)
}

fn table(summary: &Summary) -> String {
    let Summary { precision, recall, caught, rejected, cited, seen, kinds } = summary;
    let mut text = String::new();
    let mut row = |name: &str, of: &Option<Estimate>| {
        if let Some(Estimate { mean, low, high, n }) = of {
            text.push_str(&format!("{name:<22} {mean:>6.3}  [{low:.3}, {high:.3}]  n={n}\n"));
        }
    };
    row("precision (supported)", precision);
    row("recall (supported)", recall);
    row("false ones caught", caught);
    row("precision (rejected)", rejected);
    row("cites a gold article", cited);
    row("gold article looked at", seen);
    text.push_str(&format!("\n{:<22} supported  unsure  unsupported\n", "kind"));
    for (kind, [supported, unsure, unsupported]) in kinds {
        text.push_str(&format!("{kind:<22} {supported:>9} {unsure:>7} {unsupported:>12}\n"));
    }
    text
}
