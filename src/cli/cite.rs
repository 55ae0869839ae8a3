//! `cite`.

use std::fmt::Write as _;

use super::Outcome;
use super::app::{App, checked, given};
use super::args::Cite;
use super::text::{place, shorten};
use super::ui::{Pen, styles};
use crate::answer::cite::{Evidence, Missing};
use crate::answer::claims::{Claim, Count, MAX_DRAFT_BYTES, Verdict};
use crate::api::ClaimsShape;
use crate::base::error::Result;
use crate::base::text::collapse;

/// Characters of an article's words that are shown.
const EXCERPT: usize = 200;

pub(super) fn run(app: &App<'_>, args: &Cite) -> Result<Outcome> {
    let draft = given(&args.text, "draft", MAX_DRAFT_BYTES)?;
    let (filter, sources) = checked(app, &args.filter)?;
    let claims =
        app.watched(|watch| app.kb()?.check_claims_of(&draft, &filter, &sources, watch))?;
    app.ui.clear();
    if app.json {
        app.ui.json(&ClaimsShape::new(&draft, &claims))?;
    } else {
        app.ui.result(&shown(app.ui.pen, &claims))?;
    }
    Ok(if Count::of(&claims).all_hold() { Outcome::Done } else { Outcome::No })
}

/// A checked draft as text: each sentence with its sign, and under it where it stands or what is
/// missing.
fn shown(pen: Pen, claims: &[Claim]) -> String {
    let mut out = String::new();
    for claim in claims {
        let said = pen.safe(&collapse(&claim.text));
        let (style, sign) = match &claim.verdict {
            Verdict::Supported(_) => (styles::GOOD, "✓"),
            Verdict::Unsure(_) => (styles::WARNING, "?"),
            Verdict::Unsupported(_) => (styles::ERROR, "✗"),
            Verdict::NoClaim => {
                let _ = writeln!(out, "{}", pen.paint(styles::ASIDE, &format!("· {said}")));
                continue;
            }
        };
        let _ = writeln!(out, "{} {said}", pen.paint(style, sign));
        match &claim.verdict {
            Verdict::Supported(evidence) => places(&mut out, pen, claim, evidence),
            Verdict::Unsure(evidence) => {
                let _ = writeln!(out, "    the words don't settle it; the nearest place:");
                places(&mut out, pen, claim, evidence.get(..1).unwrap_or_default());
            }
            Verdict::Unsupported(missing) => {
                let _ = writeln!(out, "    {}", pen.safe(&what_is_missing(missing)));
                if let Some(nearest) = claim.passages.first() {
                    let at = place(pen, &nearest.article, &nearest.heading_path);
                    let _ = writeln!(out, "    nearest: {at}");
                }
            }
            Verdict::NoClaim => {}
        }
    }
    let count = Count::of(claims);
    let _ = writeln!(
        out,
        "\n{} of {} sentences supported, {} unsure, {} not",
        count.supported,
        count.supported + count.unsure + count.unsupported,
        count.unsure,
        count.unsupported,
    );
    out
}

/// Where evidence stands, with its words.
fn places(out: &mut String, pen: Pen, claim: &Claim, evidence: &[Evidence]) {
    for found in evidence {
        let Some(passage) = claim.passages.iter().find(|passage| passage.n == found.n) else {
            continue;
        };
        let _ = writeln!(out, "    {}", place(pen, &passage.article, &passage.heading_path));
        if let Some(words) = passage.within(&found.range) {
            let words = pen.safe(&shorten(words, EXCERPT));
            let _ = writeln!(out, "    {}", pen.paint(styles::ASIDE, &format!("“{words}”")));
        }
    }
}

/// What keeps the nearest place from supporting a sentence.
fn what_is_missing(missing: &Missing) -> String {
    match missing {
        Missing::Figure(figure) => format!("missing: the figure {figure}"),
        Missing::Name(name) => format!("missing: the name {name}"),
        Missing::Negation => "the articles say the opposite".to_owned(),
        _ => "no section says this".to_owned(),
    }
}
