//! `eval dialogues`.

use std::fmt::Write as _;

use super::super::Outcome;
use super::super::app::{App, filter};
use super::{bench_of, read_text};
use crate::base::error::Result;
use crate::cli::args::EvalDialogues;
use crate::eval::dialogues::{self, FollowUp, Rates};
use crate::eval::stats::Estimate;

pub(super) fn run(app: &App<'_>, args: &EvalDialogues) -> Result<Outcome> {
    let name = args.dialogues.display().to_string();
    let read = dialogues::parse(&name, &read_text(&args.dialogues)?)?;
    if args.llm {
        app.kb()?.check_llm()?;
    }
    let results = app.watched(|watch| {
        let kb = bench_of(app, &args.filter, watch)?;
        dialogues::run(&kb, &filter(&args.filter)?, &read, args.llm, watch)
    })?;
    let summary = dialogues::summary(&results);
    if app.json {
        app.ui.json(&serde_json::json!({ "summary": summary, "turns": results }))?;
        return Ok(Outcome::Done);
    }
    let mut text = String::from(
        "section hit@5    n  as asked              standing alone        by hand               ratio\n",
    );
    for (group, rates) in &summary {
        text.push_str(&row(group, rates));
    }
    let missed: Vec<&FollowUp> = results.iter().filter(|one| one.hits[1] < one.hits[2]).collect();
    if !missed.is_empty() {
        text.push_str("\nFound by hand alone:\n");
    }
    for one in missed {
        let _ =
            writeln!(text, "  {} {} → {} ({})", one.id, one.question, one.standalone, one.by_hand);
    }
    app.ui.result(&app.ui.pen.safe(&text))?;
    Ok(Outcome::Done)
}

fn row(group: &str, rates: &Rates) -> String {
    let shown = |of: &Estimate| format!("{:.3} [{:.3}, {:.3}]", of.mean, of.low, of.high);
    let ratio = rates.ratio.as_ref().map_or("–".to_owned(), shown);
    format!(
        "{group:<15} {:>2}  {:<21} {:<21} {:<21} {ratio}\n",
        rates.asked.n,
        shown(&rates.asked),
        shown(&rates.standalone),
        shown(&rates.by_hand),
    )
}
