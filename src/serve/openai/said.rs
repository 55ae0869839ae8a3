//! An answer as the text of a chat message: each mark a link, and for each link an annotation that
//! says where in the text it stands.

use serde::Serialize;

use crate::answer::{self, AbstainReason, Answer, AnswerSentence};
use crate::api::markdown::{escaped, label, link};
use crate::base::text::collapse;
use crate::retrieve::Passage;

/// How a message begins that answers nothing.
pub(super) const ABSTAINED: &str = "The articles don't say";

/// What list items begin with.
const ITEM: &str = "- ";

/// A link in the text of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Annotation {
    #[serde(rename = "type")]
    kind: &'static str,
    url_citation: UrlCitation,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct UrlCitation {
    url: String,
    title: String,
    /// Characters of the message before the link.
    start_index: usize,
    /// The same before what stands behind it.
    end_index: usize,
}

/// A piece of a message with the links in it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) annotations: Vec<Annotation>,
}

/// Puts a message together piece by piece.
#[derive(Default)]
pub(super) struct Message {
    characters: usize,
    before: Option<AnswerSentence>,
    said: usize,
}

impl Message {
    /// What is said next: a sentence with its marks.
    pub(super) fn sentence(&mut self, sentence: &AnswerSentence, passages: &[Passage]) -> Piece {
        let mut piece = Piece::default();
        self.add(&mut piece, answer::separator(self.before.as_ref(), sentence));
        match sentence.text.strip_prefix(ITEM) {
            Some(item) => {
                self.add(&mut piece, ITEM);
                self.add(&mut piece, &escaped(item));
            }
            None => self.add(&mut piece, &escaped(&sentence.text)),
        }
        for (at, n) in sentence.citations.iter().enumerate() {
            let Some(passage) = passages.iter().find(|passage| passage.n == *n) else { continue };
            if at == 0 {
                self.add(&mut piece, " ");
            }
            self.mark(&mut piece, *n, passage);
        }
        self.before = Some(sentence.clone());
        self.said += 1;
        piece
    }

    /// All that a whole answer says and was not said yet.
    pub(super) fn rest(&mut self, answer: &Answer) -> Vec<Piece> {
        let sentences = answer.sentences.iter().skip(self.said);
        let sentences: Vec<AnswerSentence> = sentences.cloned().collect();
        let mut pieces: Vec<Piece> =
            sentences.iter().map(|sentence| self.sentence(sentence, &answer.passages)).collect();
        if self.said == 0 {
            pieces.push(Piece { text: abstention(answer), annotations: Vec::new() });
        }
        pieces
    }

    fn mark(&mut self, piece: &mut Piece, n: usize, passage: &Passage) {
        let url = link(passage.article.url.as_deref(), &passage.article.id);
        let start_index = self.characters;
        self.add(piece, &format!("[{n}]({url})"));
        piece.annotations.push(Annotation {
            kind: "url_citation",
            url_citation: UrlCitation {
                url,
                title: collapse(&passage.article.title),
                start_index,
                end_index: self.characters,
            },
        });
    }

    fn add(&mut self, piece: &mut Piece, text: &str) {
        piece.text.push_str(text);
        self.characters += text.chars().count();
    }
}

/// That there is no answer, why, and what comes nearest.
fn abstention(answer: &Answer) -> String {
    let why = AbstainReason::in_words(answer.abstain_reason);
    let mut text = format!("{ABSTAINED} ({why}).");
    if !answer.passages.is_empty() {
        text.push_str("\n\nNearest sections:\n");
        for passage in &answer.passages {
            let place = std::iter::once(&passage.article.title).chain(&passage.heading_path);
            let place: Vec<String> = place.map(|name| label(&collapse(name))).collect();
            let url = link(passage.article.url.as_deref(), &passage.article.id);
            text.push_str(&format!("\n- [{}]({url})", place.join(" › ")));
        }
    }
    text
}
