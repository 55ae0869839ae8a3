//! What a question's hits and answer are worth, and what that makes over a set. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::facts;
use super::metrics::{self, Ranking};
use super::set::Question;
use super::stats::{Estimate, bootstrap, bootstrap_of};
use crate::answer::{Answer, AnswerStatus, SentenceSignals, Signals};
use crate::base::{ArticleId, ChunkId, Hit};

/// A gold place, found in the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its article.
    pub article: ArticleId,
    /// The sections that are called so; `None`: the whole article.
    pub sections: Option<Vec<usize>>,
    /// The chunks of those sections.
    pub chunks: Vec<ChunkId>,
    /// How relevant it is.
    pub grade: u32,
}

/// The ranking metrics by what counts as one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Each chunk by itself.
    pub chunk: Ranking,
    /// A section at its best chunk; where a whole article is gold, articles.
    pub section: Ranking,
    /// An article at its best chunk.
    pub article: Ranking,
}

/// One of the first hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownHit {
    /// The article's title.
    pub title: String,
    /// Outermost to innermost.
    pub heading_path: Vec<String>,
    /// The article's link.
    pub url: Option<String>,
    /// The fused score.
    pub score: f32,
    /// Whether it is gold.
    pub gold: bool,
}

/// What became of a question's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Answered or abstained.
    pub status: AnswerStatus,
    /// Why not.
    pub reason: Option<String>,
    /// The supported sentences with their marks.
    pub text: String,
    /// Sentences that passed the check.
    pub kept: usize,
    /// Sentences that it took out, each with why.
    pub dropped: Vec<(String, String)>,
    /// The sentences that were quoted from the passages.
    #[serde(default)]
    pub quotes: Vec<String>,
    /// What tells how far each sentence that passed can be relied on, in their order; nothing of those
    /// that the LLM didn't write.
    #[serde(default)]
    pub sentences: Vec<Option<SentenceSignals>>,
    /// What decided whether it was answered.
    #[serde(default)]
    pub signals: Signals,
    /// Facts that the answer states.
    pub facts_found: usize,
    /// Facts that it should state (strings of which any will do count as one).
    pub facts: usize,
    /// The facts that are missing, in their first form.
    pub missed: Vec<String>,
    /// Passages that it cites, and those of them that are gold.
    pub cited: (usize, usize),
    /// Gold places, and those of them that it cites.
    pub gold: (usize, usize),
    /// Passages that the LLM was shown.
    pub passages: usize,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated.
    pub completion_tokens: usize,
    /// Whether the larger LLM was asked, too; `None` if there is none, or no LLM was asked.
    #[serde(default)]
    pub escalated: Option<bool>,
}

/// One line of `results.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionResult {
    /// The question's id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its split.
    pub split: Option<String>,
    /// Itself.
    pub question: String,
    /// Whether the articles answer it.
    pub answerable: bool,
    /// The score that decides whether the LLM is called.
    pub confidence: f64,
    /// Whether that score alone declines it.
    #[serde(default)]
    pub declined: bool,
    /// Ranking metrics; `None` if it is not answerable.
    pub ranking: Option<Levels>,
    /// The first hits.
    pub found: Vec<ShownHit>,
    /// The articles in the order of their best hit, with its score, for a TREC run.
    pub ranked: Vec<(String, f32)>,
    /// The gold articles with their grades, for TREC judgements.
    pub gold: Vec<(String, u32)>,
    /// The answer, if one was asked for.
    pub answer: Option<Answered>,
    /// What failed.
    pub error: Option<String>,
    /// Milliseconds until the hits, the first sentence's first token, and the end.
    pub ms: [u64; 3],
}

/// The ranking metrics of hits.
pub fn levels(hits: &[Hit], gold: &[Place]) -> Levels {
    let whole: HashSet<&ArticleId> =
        gold.iter().filter(|place| place.sections.is_none()).map(|place| &place.article).collect();
    // Where only whole articles are gold, articles are what is ranked.
    let by_article = !gold.is_empty() && gold.iter().all(|place| place.sections.is_none());
    let section_key = |article: &ArticleId, section: usize| {
        if by_article || whole.contains(article) {
            article.0.clone()
        } else {
            format!("{article}#{section}")
        }
    };
    let (mut chunks, mut sections, mut articles) = (HashMap::new(), HashMap::new(), HashMap::new());
    let put = |map: &mut HashMap<String, u32>, key: String, grade: u32| {
        let kept = map.entry(key).or_insert(0);
        *kept = grade.max(*kept);
    };
    for place in gold {
        put(&mut articles, place.article.0.clone(), place.grade);
        for chunk in &place.chunks {
            put(&mut chunks, chunk.to_string(), place.grade);
        }
        match &place.sections {
            None => put(&mut sections, place.article.0.clone(), place.grade),
            Some(all) => {
                for section in all {
                    put(&mut sections, section_key(&place.article, *section), place.grade);
                }
            }
        }
    }
    let keys = |key: &dyn Fn(&Hit) -> String| hits.iter().map(key).collect::<Vec<_>>();
    Levels {
        chunk: metrics::ranking(&keys(&|hit| hit.chunk_id.to_string()), &chunks),
        section: metrics::ranking(
            &keys(&|hit| section_key(&hit.article.id, hit.section)),
            &sections,
        ),
        article: metrics::ranking(&keys(&|hit| hit.article.id.0.clone()), &articles),
    }
}

/// Whether a section of an article is gold.
pub fn is_gold(article: &ArticleId, section: Option<usize>, gold: &[Place]) -> bool {
    gold.iter().any(|place| {
        place.article == *article
            && match (&place.sections, section) {
                (None, _) => true,
                (Some(sections), Some(section)) => sections.contains(&section),
                (Some(_), None) => false,
            }
    })
}

/// What an answer is worth.
pub fn answered(question: &Question, answer: &Answer, gold: &[Place]) -> Answered {
    // The marks of an answer are figures, too.
    let text: Vec<&str> = answer.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    let text = text.join(" ");
    let holds = |form: &String| facts::states(&text, form);
    let mut wanted: Vec<&[String]> = question.facts.iter().map(Vec::as_slice).collect();
    if !question.any.is_empty() {
        wanted.push(&question.any);
    }
    let missed: Vec<String> = wanted
        .iter()
        .filter(|forms| !forms.iter().any(holds))
        .filter_map(|forms| forms.first().cloned())
        .collect();
    let cited: HashSet<usize> =
        answer.sentences.iter().flat_map(|sentence| sentence.citations.iter().copied()).collect();
    let passages: Vec<_> =
        answer.passages.iter().filter(|passage| cited.contains(&passage.n)).collect();
    let right = passages
        .iter()
        .filter(|passage| is_gold(&passage.article.id, Some(passage.section), gold))
        .count();
    let found = gold
        .iter()
        .filter(|place| {
            passages.iter().any(|passage| {
                is_gold(&passage.article.id, Some(passage.section), std::slice::from_ref(*place))
            })
        })
        .count();
    Answered {
        status: answer.status,
        reason: answer
            .abstain_reason
            .and_then(|reason| Some(serde_json::to_value(reason).ok()?.as_str()?.to_owned())),
        text: answer.answer.clone(),
        kept: answer.sentences.len(),
        dropped: answer
            .dropped
            .iter()
            .map(|dropped| {
                let why = serde_json::to_string(&dropped.why).unwrap_or_default();
                (dropped.text.clone(), why)
            })
            .collect(),
        quotes: answer.quotes.iter().map(|quote| quote.text.clone()).collect(),
        sentences: answer.sentences.iter().map(|sentence| sentence.signals).collect(),
        signals: answer.signals,
        facts_found: wanted.len() - missed.len(),
        facts: wanted.len(),
        missed,
        cited: (passages.len(), right),
        gold: (gold.len(), found),
        passages: answer.passages.len(),
        prompt_tokens: answer.usage.prompt_tokens,
        completion_tokens: answer.usage.completion_tokens,
        escalated: answer.escalated,
    }
}

impl QuestionResult {
    /// Whether the answer is right: all facts, or a gold citation where no fact is given; of a
    /// question that the articles don't answer, that it was declined.
    pub fn is_right(&self) -> Option<bool> {
        let answer = self.answer.as_ref()?;
        let answered = answer.status == AnswerStatus::Answered;
        Some(match (self.answerable, answered) {
            (false, answered) => !answered,
            (true, false) => false,
            (true, true) if answer.facts == 0 => answer.cited.1 > 0,
            (true, true) => answer.facts_found == answer.facts,
        })
    }

    /// The values of all metrics that this question has a say in; what can't be said of it is
    /// left out.
    pub fn values(&self) -> Vec<(String, f64)> {
        let mut values = Vec::new();
        if let Some(levels) = &self.ranking {
            for (level, ranking) in
                [("chunk", levels.chunk), ("section", levels.section), ("article", levels.article)]
            {
                values.extend(
                    ranking.named().map(|(name, value)| (format!("{level} {name}"), value)),
                );
            }
        }
        let flag = |is: bool| f64::from(u8::from(is));
        let mut put = |name: &str, value: f64| values.push((name.to_owned(), value));
        if self.error.is_none() {
            let name = if self.answerable { "score refuses wrongly" } else { "score abstains" };
            put(name, flag(self.declined));
        }
        let Some(answer) = &self.answer else { return values };
        let answered = answer.status == AnswerStatus::Answered;
        put("coverage", flag(answered));
        if let Some(right) = self.is_right() {
            put("right", flag(right));
            if answered {
                put("risk", flag(!right));
            }
        }
        if self.answerable {
            put("refused wrongly", flag(!answered));
            if answer.facts > 0 {
                put("facts found", answer.facts_found as f64 / answer.facts as f64);
            }
            if answer.gold.0 > 0 {
                put("citation recall", answer.gold.1 as f64 / answer.gold.0 as f64);
            }
            if answer.cited.0 > 0 {
                put("citation precision", answer.cited.1 as f64 / answer.cited.0 as f64);
            }
        } else {
            put("answered wrongly", flag(answered));
            put("abstention recall", flag(!answered));
        }
        if !answered {
            put("abstention precision", flag(!self.answerable));
        }
        if answer.kept + answer.dropped.len() > 0 {
            put("support", answer.kept as f64 / (answer.kept + answer.dropped.len()) as f64);
        }
        if let Some(escalated) = answer.escalated {
            put("escalated", flag(escalated));
        }
        put("tokens in", answer.prompt_tokens as f64);
        put("tokens out", answer.completion_tokens as f64);
        put("passages", answer.passages as f64);
        values
    }
}

/// `summary.json`: nothing in it depends on the clock or the machine's speed, so that a run that
/// was broken off and resumed has the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Questions.
    pub questions: usize,
    /// Those that failed.
    pub failed: usize,
    /// Group (`all`, each type, each split) → metric → estimate.
    pub groups: BTreeMap<String, BTreeMap<String, Estimate>>,
    /// Coverage and risk, by falling confidence: of the questions with the highest, the share whose
    /// outcome is not right ([`QuestionResult::is_right`]: a refused question that the articles
    /// answer is an error). Without answers the share that can't be answered.
    pub risk_coverage: Vec<(f64, f64)>,
    /// The area under that curve; less is better.
    pub aurc: f64,
    /// The seed of the intervals.
    pub seed: u64,
}

/// What results make over their set.
pub fn summary(results: &[QuestionResult]) -> Summary {
    let mut values: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for result in results {
        let mut groups = vec!["all".to_owned(), format!("type {}", result.kind)];
        groups.extend(result.split.as_ref().map(|split| format!("split {split}")));
        for (metric, value) in result.values() {
            for group in &groups {
                let of_group = values.entry(group.clone()).or_default();
                of_group.entry(metric.clone()).or_default().push(value);
            }
        }
    }
    let scored: Vec<(f64, bool)> = results
        .iter()
        .filter(|result| result.error.is_none())
        .map(|result| {
            // Without answers a question counts as right if it can be answered at all.
            (result.confidence, result.is_right().unwrap_or(result.answerable))
        })
        .collect();
    let (risk_coverage, aurc) = metrics::risk_coverage(&scored);
    let asked = results.iter().filter(|result| result.error.is_none());
    let told: Vec<(f64, bool)> =
        asked.map(|result| (result.confidence, result.answerable)).collect();
    let mut groups: BTreeMap<String, BTreeMap<String, Estimate>> = values
        .into_iter()
        .map(|(group, metrics)| {
            let estimates = metrics.into_iter().map(|(name, of)| (name, bootstrap(&of)));
            (group, estimates.collect())
        })
        .collect();
    if let Some(area) = bootstrap_of(&told, metrics::auroc) {
        groups.entry("all".to_owned()).or_default().insert("score AUROC".to_owned(), area);
    }
    Summary {
        questions: results.len(),
        failed: results.iter().filter(|result| result.error.is_some()).count(),
        groups,
        risk_coverage,
        aurc,
        seed: super::stats::SEED,
    }
}

/// How metrics are shown: these first, in this order.
pub const HEADLINE: [&str; 21] = [
    "right",
    "coverage",
    "risk",
    "facts found",
    "citation precision",
    "citation recall",
    "support",
    "abstention precision",
    "abstention recall",
    "refused wrongly",
    "answered wrongly",
    "score AUROC",
    "score abstains",
    "score refuses wrongly",
    "section hit@1",
    "section hit@5",
    "section MRR@10",
    "section nDCG@10",
    "article recall@3",
    "article MRR@10",
    "article nDCG@10",
];

/// Whether less is better.
pub fn is_cost(metric: &str) -> bool {
    metric == "risk"
        || metric.ends_with("wrongly")
        || metric.starts_with("tokens")
        || metric == "passages"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: &str, answerable: bool, answered: Option<bool>, right: bool) -> QuestionResult {
        let status =
            |answered| if answered { AnswerStatus::Answered } else { AnswerStatus::Abstained };
        QuestionResult {
            id: id.to_owned(),
            kind: String::new(),
            split: None,
            question: String::new(),
            answerable,
            confidence: 1.0 / (1.0 + id.len() as f64),
            declined: false,
            ranking: None,
            found: Vec::new(),
            ranked: Vec::new(),
            gold: Vec::new(),
            answer: answered.map(|answered| Answered {
                quotes: vec![],
                sentences: vec![],
                signals: Signals::default(),
                status: status(answered),
                reason: None,
                text: String::new(),
                kept: 0,
                dropped: Vec::new(),
                facts_found: usize::from(right),
                facts: 1,
                missed: Vec::new(),
                cited: (0, 0),
                gold: (0, 0),
                passages: 0,
                prompt_tokens: 0,
                completion_tokens: 0,
                escalated: None,
            }),
            error: None,
            ms: [0; 3],
        }
    }

    #[test]
    fn a_refused_question_that_can_be_answered_is_an_error_of_the_risk() {
        let results = [
            result("a", true, Some(true), true),
            result("bb", true, Some(false), false),
            result("ccc", false, Some(false), false),
            result("dddd", false, Some(true), false),
        ];
        let summary = summary(&results);
        assert_eq!(summary.risk_coverage, [(0.25, 0.0), (0.5, 0.5), (0.75, 1.0 / 3.0), (1.0, 0.5)]);
        // In the end the risk is what is not right.
        assert_eq!(summary.groups["all"]["right"].mean, 0.5);
        // Retrieval alone: what can be answered would be.
        let alone = [result("a", true, None, false), result("bb", false, None, false)];
        assert_eq!(super::summary(&alone).risk_coverage, [(0.5, 0.0), (1.0, 0.5)]);
    }
}
