//! Results as a reader or a program gets them: text, and the JSON shapes of `src/schema/`. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::answer::{
    AbstainReason, Answer, AnswerSentence, Drop, DroppedSentence, Status, Timings, Usage,
};
use crate::cite::Missing;
use crate::domain::{ArticleId, ArticleMeta, ChunkId, Hit, Scores};
use crate::retrieve::Passage;
use crate::seams::Finish;
use crate::ui::{Pen, styles};

/// `search --json`; schema `src/schema/search.json`.
#[derive(Debug, Serialize)]
pub struct SearchJson<'a> {
    /// What was looked for.
    pub query: &'a str,
    /// Best first.
    pub hits: Vec<HitJson<'a>>,
}

/// One hit of [`SearchJson`].
#[derive(Debug, Serialize)]
pub struct HitJson<'a> {
    /// From 1.
    pub rank: usize,
    /// The fused score.
    pub score: f32,
    /// The single scores.
    pub scores: Scores,
    /// The article.
    pub article_id: &'a ArticleId,
    /// The chunk.
    pub chunk_id: ChunkId,
    /// The article's link.
    pub url: Option<&'a str>,
    /// The article's title.
    pub title: &'a str,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Outermost to innermost; empty for the text before the first heading.
    pub heading_path: &'a [String],
    /// The chunk's text.
    pub text: &'a str,
    /// The source.
    pub source: &'a str,
    /// Names.
    pub authors: &'a [String],
    /// Tags.
    pub tags: &'a [String],
    /// The article's revision.
    pub revision: u32,
    /// First byte and byte after the last, in the revision's text.
    pub range: [usize; 2],
}

impl<'a> SearchJson<'a> {
    /// The JSON shape of a search.
    pub fn new(query: &'a str, hits: &'a [Hit]) -> SearchJson<'a> {
        let hits = hits.iter().enumerate().map(|(at, hit)| HitJson {
            rank: at + 1,
            score: hit.score,
            scores: hit.scores,
            article_id: &hit.article.id,
            chunk_id: hit.chunk_id,
            url: hit.article.url.as_deref(),
            title: &hit.article.title,
            published: hit.article.published,
            heading_path: &hit.heading_path,
            text: &hit.text,
            source: &hit.article.source.0,
            authors: &hit.article.authors,
            tags: &hit.article.tags,
            revision: hit.revision,
            range: [hit.range.start, hit.range.end],
        });
        SearchJson { query, hits: hits.collect() }
    }
}

/// `ask --json`; schema `src/schema/ask.json`.
#[derive(Debug, Serialize)]
pub struct AskJson<'a> {
    /// `answered` or `abstained`.
    pub status: Status,
    /// Why there is no answer.
    pub abstain_reason: Option<AbstainReason>,
    /// The question.
    pub question: &'a str,
    /// The sentences with their marks; empty if abstained.
    pub answer: &'a str,
    /// The supported sentences.
    pub sentences: &'a [AnswerSentence],
    /// What the check took out.
    pub dropped: &'a [DroppedSentence],
    /// What the LLM was shown; if abstained, the nearest sections.
    pub passages: Vec<PassageJson<'a>>,
    /// The score that decides whether the LLM is called.
    pub confidence: f32,
    /// Tokens.
    pub usage: Usage,
    /// Milliseconds.
    pub timings: Timings,
    /// Why the LLM stopped.
    pub finish: Option<Finish>,
    /// What answered.
    pub model: &'a str,
    /// Hash of the prompt template.
    pub prompt_hash: &'a str,
}

/// One passage of [`AskJson`].
#[derive(Debug, Serialize)]
pub struct PassageJson<'a> {
    /// Its number in the answer's marks.
    pub n: usize,
    /// The article's link.
    pub url: Option<&'a str>,
    /// The article's title.
    pub title: &'a str,
    /// RFC 3339, UTC.
    pub published: Option<Timestamp>,
    /// Outermost to innermost; empty for the text before the first heading.
    pub heading_path: &'a [String],
    /// Its text.
    pub text: &'a str,
    /// The article.
    pub article_id: &'a ArticleId,
    /// The article's revision.
    pub revision: u32,
    /// First byte and byte after the last, in the revision's text.
    pub range: [usize; 2],
    /// The best hit's fused score.
    pub score: f32,
}

impl<'a> AskJson<'a> {
    /// The JSON shape of an answer.
    pub fn new(question: &'a str, model: &'a str, answer: &'a Answer) -> AskJson<'a> {
        let passages = answer.passages.iter().map(|passage| PassageJson {
            n: passage.n,
            url: passage.article.url.as_deref(),
            title: &passage.article.title,
            published: passage.article.published,
            heading_path: &passage.heading_path,
            text: &passage.text,
            article_id: &passage.article.id,
            revision: passage.revision,
            range: [passage.range.start, passage.range.end],
            score: passage.score,
        });
        AskJson {
            status: answer.status,
            abstain_reason: answer.abstain_reason,
            question,
            answer: &answer.answer,
            sentences: &answer.sentences,
            dropped: &answer.dropped,
            passages: passages.collect(),
            confidence: answer.confidence,
            usage: answer.usage,
            timings: answer.timings,
            finish: answer.finish,
            model,
            prompt_hash: &answer.prompt_hash,
        }
    }
}

/// Hits as text: rank, score, title, heading path, date, link and the beginning of the text.
pub fn hits(pen: Pen, hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    let mut out = String::new();
    for (at, hit) in hits.iter().enumerate() {
        let rank = pen.paint(styles::NUMBER, &format!("{:>2}.", at + 1));
        let _ = writeln!(out, "{rank} {}", place(pen, &hit.article, &hit.heading_path));
        let mut scores = format!("{:.4}", hit.score);
        if let Some(dense) = hit.scores.dense {
            let _ = write!(scores, "  cosine {dense:.3}");
        }
        if let Some(sparse) = hit.scores.sparse {
            let _ = write!(scores, "  BM25 {sparse:.2}");
        }
        let _ = writeln!(out, "    {}", pen.paint(styles::ASIDE, &scores));
        let _ = writeln!(out, "    {}", pen.safe(&shorten(&hit.text, 240)));
    }
    out
}

/// `Title › Heading › Sub-heading (2025-03-04) https://…`.
pub fn place(pen: Pen, article: &ArticleMeta, heading_path: &[String]) -> String {
    let mut text = pen.paint(styles::TITLE, &pen.safe(&one_line(&article.title)));
    for heading in heading_path {
        let _ = write!(text, " › {}", pen.safe(&one_line(heading)));
    }
    if let Some(at) = article.published {
        let _ = write!(text, " ({})", at.strftime("%Y-%m-%d"));
    }
    if let Some(url) = &article.url {
        let _ = write!(text, " {}", pen.paint(styles::ASIDE, &pen.safe(url)));
    }
    text
}

/// One sentence of a streamed answer, with its marks.
pub fn sentence(pen: Pen, sentence: &AnswerSentence) -> String {
    let marks: String = sentence.citations.iter().map(|n| format!("[{n}]")).collect();
    format!("{} {}", pen.safe(&sentence.text), pen.paint(styles::NUMBER, &marks))
}

/// What stands under an answer: each cited passage, in the order of its number.
pub fn sources(pen: Pen, answer: &Answer) -> String {
    let mut out = String::new();
    for passage in answer.passages.iter().filter(|passage| {
        answer.sentences.iter().any(|sentence| sentence.citations.contains(&passage.n))
    }) {
        let _ = writeln!(out, "{}", numbered(pen, passage));
    }
    out
}

fn numbered(pen: Pen, passage: &Passage) -> String {
    let n = pen.paint(styles::NUMBER, &format!("[{}]", passage.n));
    format!("{n} {}", place(pen, &passage.article, &passage.heading_path))
}

/// What is said when the articles don't answer: why, and the nearest sections to read.
pub fn abstention(pen: Pen, answer: &Answer) -> String {
    let why = match answer.abstain_reason {
        Some(AbstainReason::NothingFound) | None => "nothing in them is about this",
        Some(AbstainReason::LowConfidence) => "no section is near enough to the question",
        Some(AbstainReason::Declined) => "the nearest sections don't answer the question",
        Some(AbstainReason::Unsupported) => {
            "what the LLM wrote could not be found in the nearest sections"
        }
    };
    let mut out = format!("{} ({why}).\n", pen.paint(styles::TITLE, "The articles don't say"));
    if !answer.passages.is_empty() {
        out.push_str("\nNearest sections:\n");
        for passage in &answer.passages {
            let _ = writeln!(out, "  {}", place(pen, &passage.article, &passage.heading_path));
        }
    }
    out
}

/// What `--explain` adds: the passages as the LLM had them, what was dropped and why, and figures.
pub fn explanation(pen: Pen, answer: &Answer) -> String {
    let mut out = format!("\n{}\n", pen.paint(styles::TITLE, "Passages"));
    for passage in &answer.passages {
        let _ = writeln!(out, "{}", numbered(pen, passage));
        for line in pen.safe(passage.text.trim()).lines() {
            let _ = writeln!(out, "    {line}");
        }
    }
    if !answer.dropped.is_empty() {
        let _ = writeln!(out, "\n{}", pen.paint(styles::TITLE, "Dropped"));
        for sentence in &answer.dropped {
            let _ =
                writeln!(out, "  {} — {}", pen.safe(&sentence.text), why_dropped(&sentence.why));
        }
    }
    let _ = writeln!(
        out,
        "\nconfidence {:.3}; {} prompt tokens, {} tokens generated, {} hits left out; first text after {} ms, all after {} ms",
        answer.confidence,
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.hits_left_out,
        answer.timings.first_token_ms,
        answer.timings.total_ms,
    );
    out
}

fn why_dropped(why: &Drop) -> String {
    match why {
        Drop::Unsupported(Missing::Figure(figure)) => {
            format!("no passage has the figure {figure}")
        }
        Drop::Unsupported(Missing::Name(name)) => format!("no passage has the name {name}"),
        Drop::Unsupported(Missing::Negation) => "the passage says the opposite".to_owned(),
        Drop::Unsupported(Missing::Subject(word)) => {
            format!("the passage that says this does not speak of \"{word}\"")
        }
        Drop::Unsupported(Missing::Words) => "no passage says this".to_owned(),
        Drop::Unsupported(Missing::Content) => "it says nothing".to_owned(),
        Drop::Declines => "it says that the passages don't answer".to_owned(),
        Drop::Repeated => "it was said before".to_owned(),
        Drop::Unfinished => "it was cut off by answer.max_tokens".to_owned(),
    }
}

/// White space collapsed to single spaces.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a text on one line, at most `width` characters as readers count them.
pub fn shorten(text: &str, width: usize) -> String {
    let line = one_line(text);
    let mut graphemes = line.graphemes(true);
    let beginning: String = graphemes.by_ref().take(width).collect();
    if graphemes.next().is_some() { format!("{}…", beginning.trim_end()) } else { beginning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cite::Evidence;
    use crate::domain::SourceId;

    fn meta() -> ArticleMeta {
        ArticleMeta {
            id: ArticleId("00ff00ff00ff00ff".into()),
            source: SourceId("feed.xml".into()),
            other_sources: vec![],
            url: Some("https://example.org/p/varnish".into()),
            title: "Varnish\u{202e} and\npatience".into(),
            authors: vec!["Ida Holm".into()],
            published: "2025-03-04T05:06:07Z".parse().ok(),
            tags: vec!["boats".into()],
        }
    }

    fn answer(status: Status) -> Answer {
        let passage = Passage {
            n: 1,
            article: meta(),
            revision: 1,
            heading_path: vec!["Coats".into(), "Drying".into()],
            range: 0..30,
            text: "Each coat dried for two days.\nNever in the rain.".into(),
            score: 0.05,
        };
        let sentence = AnswerSentence {
            text: "Each coat dried for two days.".into(),
            citations: vec![1],
            evidence: vec![Evidence { n: 1, range: 0..30, coverage: 1.0 }],
        };
        let answered = status == Status::Answered;
        Answer {
            status,
            abstain_reason: (!answered).then_some(AbstainReason::LowConfidence),
            answer: if answered { crate::answer::marked(&sentence) } else { String::new() },
            sentences: if answered { vec![sentence] } else { vec![] },
            dropped: vec![DroppedSentence {
                text: "It cost $7.".into(),
                why: Drop::Unsupported(Missing::Figure("7".into())),
            }],
            passages: vec![passage.clone(), Passage { n: 2, ..passage }],
            confidence: 0.61,
            usage: Usage { prompt_tokens: 400, completion_tokens: 12, hits_left_out: 3 },
            timings: Timings {
                retrieval_ms: 9,
                prepared_ms: 900,
                first_token_ms: 4000,
                total_ms: 5000,
            },
            finish: answered.then_some(Finish::Stop),
            prompt_hash: "abc".into(),
        }
    }

    const TERMINAL: Pen = Pen { color: false, escape: true };

    #[test]
    fn an_answer_with_its_sources() {
        let answer = answer(Status::Answered);
        let text: String =
            answer.sentences.iter().map(|s| sentence(TERMINAL, s) + "\n").collect::<String>()
                + "\n"
                + &sources(TERMINAL, &answer)
                + &explanation(TERMINAL, &answer);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_abstention_names_the_nearest_sections() {
        insta::assert_snapshot!(abstention(TERMINAL, &answer(Status::Abstained)));
    }

    #[test]
    fn hits_as_text_and_json() {
        let hit = Hit {
            chunk_id: ChunkId(uuid::Uuid::from_u128(7)),
            article: meta(),
            revision: 2,
            section: 1,
            ordinal: 3,
            heading_path: vec!["Coats".into()],
            range: 10..20,
            text: "word ".repeat(100),
            score: 0.0321,
            scores: Scores { dense: Some(0.5), sparse: Some(3.25) },
        };
        insta::assert_snapshot!("hits_text", hits(TERMINAL, std::slice::from_ref(&hit)));
        insta::assert_json_snapshot!("hits_json", SearchJson::new("varnish", &[hit]));
        assert_eq!(hits(TERMINAL, &[]), "Nothing found.\n");
    }

    #[test]
    fn a_text_is_shortened_by_what_readers_count() {
        assert_eq!(shorten("a  b\nc", 5), "a b c");
        assert_eq!(shorten("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}e\u{301}…");
    }
}
