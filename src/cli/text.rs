//! Results as a reader gets them. Pure.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;

use crate::answer::cite::Missing;
use crate::answer::{
    AbstainReason, Answer, AnswerSentence, AnswerStatus, DropReason, Quote, Signals,
};
use crate::base::ArticleMeta;
use crate::base::text::collapse;
use crate::cli::ui::{Pen, styles};
use crate::retrieve::{Passage, Retrieved, matching, matching_words};

/// Characters of a hit that are shown.
const EXCERPT: usize = 240;

/// Hits as text: rank, score, title, heading path, date, link, and the sentence that has most of the
/// question's words, those marked; else the beginning.
pub fn hits(pen: Pen, found: &Retrieved) -> String {
    if found.hits.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    let mut out = String::new();
    for (at, hit) in found.hits.iter().enumerate() {
        let rank = pen.paint(styles::NUMBER, &format!("{:>2}.", at + 1));
        let _ = writeln!(out, "{rank} {}", place(pen, &hit.article, &hit.heading_path));
        let mut scores = format!("{:.4}", hit.score);
        if let Some(dense) = hit.scores.dense {
            let _ = write!(scores, "  cosine {dense:.3}");
        }
        if let Some(sparse) = hit.scores.sparse {
            let _ = write!(scores, "  BM25 {sparse:.2}");
        }
        if let Some(late) = hit.scores.late {
            let _ = write!(scores, "  match {late:.3}");
        }
        let _ = writeln!(out, "    {}", pen.paint(styles::ASIDE, &scores));
        let _ = writeln!(out, "    {}", excerpt(pen, &hit.text, found));
    }
    out
}

/// What is shown of a hit's text.
fn excerpt(pen: Pen, text: &str, found: &Retrieved) -> String {
    let from = matching(text, found).map_or(0, |range| range.start);
    let shown = shorten(&text[from..], EXCERPT);
    let mut out = String::new();
    if from > 0 {
        out.push_str("… ");
    }
    let mut at = 0;
    for word in matching_words(&shown, found) {
        out.push_str(&pen.safe(&shown[at..word.start]));
        out.push_str(&pen.paint(styles::MATCH, &pen.safe(&shown[word.clone()])));
        at = word.end;
    }
    out.push_str(&pen.safe(&shown[at..]));
    out
}

/// The sentences that answer best, a line each with where it stands, to read while the LLM reads.
pub fn quotes(quotes: &[Quote], passages: &[Passage]) -> Vec<String> {
    let line = |quote: &Quote| {
        let passage = passages.iter().find(|passage| passage.n == quote.n)?;
        let last = passage.heading_path.last().unwrap_or(&passage.article.title);
        Some(format!("“{}” — {}", shorten(&quote.text, EXCERPT), collapse(last)))
    };
    quotes.iter().filter_map(line).collect()
}

/// `Title › Heading › Sub-heading (2025-03-04) https://…`.
pub fn place(pen: Pen, article: &ArticleMeta, heading_path: &[String]) -> String {
    let mut text = pen.paint(styles::TITLE, &pen.safe(&collapse(&article.title)));
    for heading in heading_path {
        let _ = write!(text, " › {}", pen.safe(&collapse(heading)));
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
    let text = pen.safe(&sentence.text);
    if marks.is_empty() { text } else { format!("{text} {}", pen.paint(styles::NUMBER, &marks)) }
}

/// What stands under an answer: why it is quotes, if it is, which articles were looked at, if not all,
/// and each cited passage, in the order of its number.
pub fn sources(pen: Pen, answer: &Answer) -> String {
    let mut out = String::new();
    if let Some(why) = answer.quoted_why() {
        let _ = writeln!(out, "{why}\n");
    }
    if !answer.filters.is_empty() {
        let _ = writeln!(out, "filters: {}", pen.safe(&answer.filters));
    }
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
    let why = AbstainReason::in_words(answer.abstain_reason);
    let mut out = format!("{} ({why}).\n", pen.paint(styles::TITLE, "The articles don't say"));
    if !answer.passages.is_empty() {
        out.push_str("\nNearest sections:\n");
        for passage in &answer.passages {
            let _ = writeln!(out, "  {}", place(pen, &passage.article, &passage.heading_path));
        }
    }
    out
}

/// What is said beside an answer's JSON: which passages each value rests on, and what the passages
/// don't support; if they don't answer, that.
pub fn data(pen: Pen, answer: &Answer) -> String {
    let mut out = String::new();
    let Some(data) = &answer.data else { return abstention(pen, answer) };
    let named = |pointer: &str| match pointer {
        "" => "the JSON".to_owned(),
        pointer => pen.safe(pointer),
    };
    for member in &data.members {
        let marks: String = member.citations.iter().map(|n| format!("[{n}]")).collect();
        let _ = writeln!(out, "{} {marks}", named(&member.pointer));
    }
    for pointer in &data.removed {
        let _ = writeln!(out, "{}: not found in the passages", named(pointer));
    }
    match answer.status {
        AnswerStatus::Answered => out.push_str(&sources(pen, answer)),
        AnswerStatus::Abstained => out.insert_str(0, &abstention(pen, answer)),
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
        "\nconfidence {:.3}; {} prompt tokens, {} tokens generated ({} of {} guesses right), {} hits left out; first text after {} ms, all after {} ms",
        answer.confidence,
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.accepted_tokens,
        answer.usage.drafted_tokens,
        answer.usage.hits_left_out,
        answer.timings.first_token_ms,
        answer.timings.total_ms,
    );
    out
}

/// What an answer's confidence rests on, in one line.
pub fn signals(answer: &Answer) -> String {
    let named = Signals::NAMES.iter().zip(answer.signals.features());
    let shown = named.filter(|(name, _)| match **name {
        "verdict" => answer.signals.verdict.is_some(),
        "quote" => answer.signals.quote.is_some(),
        _ => true,
    });
    let shown: Vec<String> = shown.map(|(name, value)| format!("{name} {value:.2}")).collect();
    format!("signals: {}", shown.join(", "))
}

fn why_dropped(why: &DropReason) -> String {
    match why {
        DropReason::Unsupported(Missing::Figure(figure)) => {
            format!("no passage has the figure {figure}")
        }
        DropReason::Unsupported(Missing::Name(name)) => format!("no passage has the name {name}"),
        DropReason::Unsupported(Missing::Negation) => "the passage says the opposite".to_owned(),
        DropReason::Unsupported(Missing::Subject) => {
            "it says something other than what was asked".to_owned()
        }
        DropReason::Unsupported(Missing::FigureAsked) => {
            "it does not give the figure that is asked for".to_owned()
        }
        DropReason::Unsupported(Missing::Odds) => {
            "the LLM itself doubts that the passages say this".to_owned()
        }
        DropReason::Unsupported(Missing::Likelihood) => {
            "the LLM was not sure of it, or too little of it stands in the passage".to_owned()
        }
        DropReason::Unsupported(Missing::Words) => "no passage says this".to_owned(),
        DropReason::Unsupported(Missing::Content) => "it says nothing".to_owned(),
        DropReason::Declines => "it says that the passages don't answer".to_owned(),
        DropReason::Repeated => "it was said before".to_owned(),
        DropReason::Unfinished => "it is not a whole sentence".to_owned(),
        DropReason::Leaning => "it depends on a sentence that was dropped".to_owned(),
    }
}

/// The beginning of a text on one line, at most `width` characters as readers count them.
pub fn shorten(text: &str, width: usize) -> String {
    let line = collapse(text);
    let mut graphemes = line.graphemes(true);
    let beginning: String = graphemes.by_ref().take(width).collect();
    if graphemes.next().is_some() { format!("{}…", beginning.trim_end()) } else { beginning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::cite::Evidence;
    use crate::answer::{AnswerStatus, DroppedSentence, Timings, Usage};
    use crate::api::SearchShape;
    use crate::base::{ArticleId, ChunkId, DocumentId, Hit, Scores, SourceId};
    use crate::document::terms;
    use crate::infer::Finish;
    use crate::retrieve::samples;

    fn meta() -> ArticleMeta {
        ArticleMeta {
            id: ArticleId("00ff00ff00ff00ff".into()),
            source: SourceId("feed.xml".into()),
            other_sources: vec![],
            url: Some("https://example.org/p/varnish".into()),
            title: "Varnish\u{202e} and\npatience".into(),
            subtitle: None,
            authors: vec!["Ida Holm".into()],
            published: "2025-03-04T05:06:07Z".parse().ok(),
            tags: vec!["boats".into()],
        }
    }

    fn answer(status: AnswerStatus) -> Answer {
        let passage = Passage {
            article: meta(),
            heading_path: vec!["Coats".into(), "Drying".into()],
            range: 0..30,
            score: 0.05,
            ..samples::passage(1, "Each coat dried for two days.\nNever in the rain.")
        };
        let sentence = AnswerSentence {
            text: "Each coat dried for two days.".into(),
            citations: vec![1],
            evidence: vec![Evidence { n: 1, range: 0..30, coverage: 1.0 }],
            signals: None,
        };
        let answered = status == AnswerStatus::Answered;
        Answer {
            status,
            abstain_reason: (!answered).then_some(AbstainReason::LowConfidence),
            answer: if answered { crate::answer::marked(&sentence) } else { String::new() },
            sentences: if answered { vec![sentence] } else { vec![] },
            dropped: vec![DroppedSentence {
                text: "It cost $7.".into(),
                why: DropReason::Unsupported(Missing::Figure("7".into())),
            }],
            passages: vec![passage.clone(), Passage { n: 2, ..passage }],
            quotes: vec![],
            standalone: None,
            quoted: false,
            filters: String::new(),
            data: None,
            confidence: 0.61,
            signals: Default::default(),
            usage: Usage {
                prompt_tokens: 400,
                completion_tokens: 12,
                drafted_tokens: 5,
                accepted_tokens: 4,
                hits_left_out: 3,
            },
            timings: Timings {
                retrieval_ms: 9,
                quotes_ms: 40,
                prepared_ms: 900,
                first_token_ms: 4000,
                total_ms: 5000,
            },
            finish: answered.then_some(Finish::Stop),
            escalated: None,
            prompt_hash: "abc".into(),
            model: answered.then(|| "m".into()),
        }
    }

    const TERMINAL: Pen = Pen { color: false, escape: true };

    #[test]
    fn an_answer_with_its_sources() {
        let answer = answer(AnswerStatus::Answered);
        let text: String =
            answer.sentences.iter().map(|s| sentence(TERMINAL, s) + "\n").collect::<String>()
                + "\n"
                + &sources(TERMINAL, &answer)
                + &explanation(TERMINAL, &answer);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn quotes_in_the_place_of_an_answer_say_why() {
        let mut quoted = Answer { quoted: true, ..answer(AnswerStatus::Answered) };
        insta::assert_snapshot!(sources(TERMINAL, &quoted));
        quoted.model = None;
        assert!(!sources(TERMINAL, &quoted).contains("LLM"), "asked for");
    }

    #[test]
    fn an_abstention_names_the_nearest_sections() {
        insta::assert_snapshot!(abstention(TERMINAL, &answer(AnswerStatus::Abstained)));
    }

    #[test]
    fn hits_as_text_and_json() {
        let hit = Hit {
            chunk_id: ChunkId(uuid::Uuid::from_u128(7)),
            article: meta(),
            revision: 2,
            document: DocumentId("d".into()),
            section: 1,
            ordinal: 3,
            heading_path: vec!["Coats".into()],
            range: 10..20,
            text: "word ".repeat(30) + "end. Two coats of varnish\u{202e} keep a boat dry. More.",
            score: 0.0321,
            scores: Scores { dense: Some(0.5), sparse: Some(3.25), late: Some(0.75) },
        };
        let terms = terms::query("varnished boats");
        let found = Retrieved { hits: vec![hit], terms, ..Retrieved::default() };
        insta::assert_snapshot!("hits_text", hits(TERMINAL, &found));
        let colored = hits(Pen { color: true, escape: true }, &found);
        insta::assert_snapshot!("hits_colored", colored.escape_debug().to_string());
        insta::assert_json_snapshot!("hits_json", SearchShape::new("varnish", &found));
        assert_eq!(hits(TERMINAL, &Retrieved::default()), "Nothing found.\n");
    }

    #[test]
    fn a_text_is_shortened_by_what_readers_count() {
        assert_eq!(shorten("a  b\nc", 5), "a b c");
        assert_eq!(shorten("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}e\u{301}…");
    }
}
