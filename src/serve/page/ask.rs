//! `/`: the form, and without a script what it finds.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as Extract};
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;
use serde::Serialize;

use super::{Failure, Fields, view};
use crate::answer::{self, Answer, AnswerStatus};
use crate::api::{AnswerShape, ErrorDetail, ErrorShape, SearchShape};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::{ArticleId, DocumentId, Watch};
use crate::engine::Question;
use crate::library::Library;
use crate::serve::asking::blocking;
use crate::serve::{Shared, State};

/// Hits of a search.
const HITS: usize = 10;
/// Bytes of a passage that are shown on either side of what is cited.
const AROUND: usize = 160;
/// Authors that are offered.
const AUTHORS: usize = 500;

pub(super) async fn page(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    query: std::result::Result<Query<Fields>, QueryRejection>,
) -> std::result::Result<Response, Failure> {
    let fields = match query {
        Ok(Query(fields)) => fields,
        Err(error) => {
            let error = Error::new(ErrorKind::Usage, "the address can't be read").caused_by(error);
            return Err(Failure(headers, error));
        }
    };
    let shared = State::clone(&state);
    let made = blocking(&state, move |kb, watch| {
        let library = kb.existing_library()?;
        let facts = library.as_deref().map(Facts::of).transpose()?.unwrap_or_default();
        let found = match fields.q.trim() {
            "" => None,
            // What is wrong with a question stands where its answer would.
            _ => Some(found(&shared, &fields, watch).unwrap_or_else(|error| Found {
                error: Some(ErrorShape::new(&error).error),
                ..Found::default()
            })),
        };
        Ok((fields, facts, found))
    })
    .await;
    let (fields, facts, found) = made.map_err(|error| Failure(headers.clone(), error))?;
    let filters = fields.filters();
    let values = context! {
        here => "ask",
        filters,
        fields => view::value(fields),
        facts => view::value(facts),
        found => found.map(view::value),
    };
    Ok(view::page(&headers, "ask.html", values))
}

/// What the forms offer.
#[derive(Debug, Default, Serialize)]
pub(super) struct Facts {
    pub articles: usize,
    /// Names and titles.
    pub sources: Vec<(String, String)>,
    pub authors: Vec<String>,
}

impl Facts {
    /// Of a library.
    pub fn of(library: &Library) -> Result<Facts> {
        let mut authors = library.authors()?;
        authors.truncate(AUTHORS);
        let sources = library.sources()?.into_iter().map(|info| {
            let title = info.title.filter(|title| !title.trim().is_empty());
            (info.id.0.clone(), title.unwrap_or(info.id.0))
        });
        Ok(Facts { articles: library.article_count()?, sources: sources.collect(), authors })
    }
}

/// What was found; one of the parts is there.
#[derive(Debug, Default, Serialize)]
struct Found {
    hits: Option<Vec<Hit>>,
    answer: Option<Said>,
    error: Option<ErrorDetail>,
}

/// A place in an article, and how it is named.
#[derive(Debug, Serialize)]
struct Place {
    href: String,
    title: String,
    /// The headings.
    heading: String,
    published: Option<String>,
    /// The text around what is cited, what is cited, and the text after it.
    excerpt: [String; 3],
}

#[derive(Debug, Serialize)]
struct Hit {
    #[serde(flatten)]
    place: Place,
    authors: String,
}

/// An answer.
#[derive(Debug, Serialize)]
struct Said {
    is_answered: bool,
    reason: &'static str,
    sentences: Vec<Sentence>,
    passages: Vec<Source>,
}

#[derive(Debug, Serialize)]
struct Sentence {
    /// Whether it stands on a line of its own.
    is_item: bool,
    text: String,
    cites: Vec<Source>,
}

/// A numbered place.
#[derive(Debug, Serialize)]
struct Source {
    n: usize,
    #[serde(flatten)]
    place: Place,
}

fn found(shared: &Shared, fields: &Fields, watch: &Watch<'_>) -> Result<Found> {
    let filter = fields.filter().understood(&*shared.kb.filled_library()?)?;
    let question = Question { text: fields.q.trim(), filter: &filter, sources: &[] };
    if fields.mode == "search" {
        let found = shared.search(&question, HITS, watch)?;
        return Ok(Found {
            hits: Some(hits(&SearchShape::new(question.text, &found))),
            ..Found::default()
        });
    }
    let answer = shared.kb.quote(&question, watch)?;
    Ok(Found { answer: Some(said(&answer)), ..Found::default() })
}

fn hits(found: &SearchShape<'_>) -> Vec<Hit> {
    let hit = |hit: &crate::api::HitShape<'_>| {
        let [start, end] = hit.matching.unwrap_or_default();
        // A chunk may repeat a table's header before the text of its range.
        let offset = hit.range[1].saturating_sub(hit.text.len());
        let (range, is_passage) = match hit.matching {
            Some([start, end]) if offset + start >= hit.range[0] => {
                ([offset + start, offset + end], false)
            }
            _ => (hit.range, true),
        };
        let excerpt = match hit.matching {
            Some(_) => excerpt(hit.text, start, end),
            None => [hit.text.to_owned(), String::new(), String::new()],
        };
        Hit {
            place: Place {
                href: href(hit.article_id, hit.document, range, is_passage),
                title: hit.title.to_owned(),
                heading: hit.heading_path.join(" › "),
                published: hit.published.map(|at| at.to_string()),
                excerpt,
            },
            authors: hit.authors.join(", "),
        }
    };
    found.hits.iter().map(hit).collect()
}

fn said(answer: &Answer) -> Said {
    let shape = AnswerShape::new("", "", answer);
    let source = |n: usize, cited: Option<&std::ops::Range<usize>>| {
        let passage = shape.passages.iter().find(|passage| passage.n == n)?;
        let range = cited.map_or(passage.range, |range| [range.start, range.end]);
        let within = |at: usize| at.saturating_sub(passage.range[0]);
        let excerpt = match cited {
            Some(range) => excerpt(passage.text, within(range.start), within(range.end)),
            None => Default::default(),
        };
        let place = Place {
            href: href(passage.article_id, passage.document, range, cited.is_none()),
            title: passage.title.to_owned(),
            heading: passage.heading_path.join(" › "),
            published: passage.published.map(|at| at.to_string()),
            excerpt,
        };
        Some(Source { n, place })
    };
    let mut before = None;
    let mut sentences = Vec::new();
    for sentence in shape.sentences {
        let is_item = answer::separator(before, sentence) == "\n";
        before = Some(sentence);
        let cites = sentence.citations.iter().filter_map(|n| {
            let evidence = sentence.evidence.iter().find(|evidence| evidence.n == *n);
            source(*n, evidence.map(|evidence| &evidence.range))
        });
        let text = match sentence.text.strip_prefix("- ") {
            Some(item) => format!("• {item}"),
            None => sentence.text.clone(),
        };
        sentences.push(Sentence { is_item, text, cites: cites.collect() });
    }
    Said {
        is_answered: answer.status == AnswerStatus::Answered,
        reason: answer.abstain_reason.map_or("", reason),
        sentences,
        passages: shape.passages.iter().filter_map(|passage| source(passage.n, None)).collect(),
    }
}

/// Where a place in an article is read.
fn href(id: &ArticleId, document: &DocumentId, range: [usize; 2], is_passage: bool) -> String {
    let [from, to] = range;
    let whole = if is_passage { "&as=passage" } else { "" };
    format!("/articles/{id}?document={document}&from={from}&to={to}{whole}#cited")
}

/// A range of a text with some of the text around it, cut between words.
fn excerpt(text: &str, start: usize, end: usize) -> [String; 3] {
    let (Some(before), Some(cited), Some(after)) =
        (text.get(..start), text.get(start..end), text.get(end..))
    else {
        return Default::default();
    };
    // No more than the paragraph, list or table that it stands in.
    let before = before.rsplit("\n\n").next().unwrap_or(before).trim_start();
    let after = after.split("\n\n").next().unwrap_or(after);
    let mut from = before.len().saturating_sub(AROUND);
    while !before.is_char_boundary(from) {
        from += 1;
    }
    let mut around = before[from..].to_owned();
    if from > 0 {
        let cut = around.find(char::is_whitespace).unwrap_or(0);
        around = format!("…{}", &around[cut..]);
    }
    let mut to = AROUND.min(after.len());
    while !after.is_char_boundary(to) {
        to -= 1;
    }
    let mut rest = after[..to].to_owned();
    if to < after.len() {
        rest.truncate(rest.rfind(char::is_whitespace).unwrap_or(to));
        rest.push('…');
    }
    [around, cited.to_owned(), rest]
}

fn reason(reason: answer::AbstainReason) -> &'static str {
    use answer::AbstainReason::{Declined, LowConfidence, NothingFound, Unsupported};
    match reason {
        NothingFound => "Nothing in them is about this.",
        LowConfidence => "No section is near enough to the question.",
        Declined => "The nearest sections don't answer the question.",
        Unsupported => "What was written could not be found in the nearest sections.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_cut_between_words_and_a_range_that_is_none_has_none() {
        assert_eq!(excerpt("One. Two. Three.", 5, 9), ["One. ", "Two.", " Three."]);
        assert_eq!(excerpt("A\n\nb Two. c\n\nD", 5, 9), ["b ", "Two.", " c"]);
        let text = format!("{} Two. {}", "höhe ".repeat(60), "lang ".repeat(60));
        let start = text.find("Two.").unwrap();
        let [before, cited, after] = excerpt(&text, start, start + 4);
        assert_eq!(cited, "Two.");
        assert!(before.starts_with("… höhe") && before.len() < AROUND + 8, "{before}");
        assert!(after.ends_with("lang…"), "{after}");
        assert_eq!(excerpt("é", 1, 2), [""; 3]);
        assert_eq!(excerpt("é", 0, 9), [""; 3]);
    }
}
