//! A question set's gold → places of the library.

use std::collections::HashMap;

use super::score::Place;
use super::set::{Gold, QuestionSet};
use crate::base::error::Result;
use crate::base::{ArticleId, ChunkId, Watch};
use crate::engine::{KnowledgeBase, same_heading};

/// Gold of each question of a set, and what does not resolve, by line.
pub type ResolvedSet = (Vec<Vec<Place>>, Vec<String>);

/// Finds a set's gold in the library.
///
/// # Errors
/// If the library can't be read.
pub fn resolve(kb: &KnowledgeBase, set: &QuestionSet, watch: &Watch<'_>) -> Result<ResolvedSet> {
    let mut finder = GoldFinder { kb, watch, sections: HashMap::new() };
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for (line, question) in &set.questions {
        watch.cancel.check()?;
        let mut places = Vec::new();
        for gold in &question.gold {
            match finder.place(gold)? {
                Ok(place) => places.push(place),
                Err(problem) => problems.push(format!("line {line} ({}): {problem}", question.id)),
            }
        }
        all.push(places);
    }
    Ok((all, problems))
}

/// The sections of an article: heading, and its chunks.
type Sections = Vec<(String, Vec<ChunkId>)>;

struct GoldFinder<'a> {
    kb: &'a KnowledgeBase,
    watch: &'a Watch<'a>,
    sections: HashMap<ArticleId, Sections>,
}

impl GoldFinder<'_> {
    fn place(&mut self, gold: &Gold) -> Result<Result<Place, String>> {
        let library = self.kb.filled_library()?;
        let (name, article) = match (&gold.url, &gold.doc) {
            (Some(url), _) => (url, library.article_by_url(url)?.map(|info| info.meta.id)),
            (None, Some(doc)) => (doc, library.find_by_guid(doc)?),
            (None, None) => return Ok(Err("gold names no article".to_owned())),
        };
        let Some(article) = article else {
            return Ok(Err(format!("the library has no article {name}")));
        };
        let sections = self.sections_of(&article)?;
        let chunks_of = |wanted: &dyn Fn(usize) -> bool| -> Vec<ChunkId> {
            let of = sections.iter().enumerate().filter(|(at, _)| wanted(*at));
            of.flat_map(|(_, (_, chunks))| chunks.clone()).collect()
        };
        let Some(heading) = &gold.heading else {
            let chunks = chunks_of(&|_| true);
            return Ok(Ok(Place { article, sections: None, chunks, grade: gold.relevance }));
        };
        let found: Vec<usize> =
            (0..sections.len()).filter(|at| same_heading(&sections[*at].0, heading)).collect();
        if found.is_empty() {
            return Ok(Err(format!("{name} has no section \"{heading}\"")));
        }
        let chunks = chunks_of(&|at| found.contains(&at));
        Ok(Ok(Place { article, sections: Some(found), chunks, grade: gold.relevance }))
    }

    fn sections_of(&mut self, id: &ArticleId) -> Result<Sections> {
        if let Some(sections) = self.sections.get(id) {
            return Ok(sections.clone());
        }
        let library = self.kb.filled_library()?;
        let Some(article) = library.article(id)? else { return Ok(Vec::new()) };
        let Some(document) = self.kb.document_of(id)? else { return Ok(Vec::new()) };
        let chunks = self.kb.chunks_of(&article.meta, &document, self.watch)?;
        let mut sections: Sections = document
            .sections
            .iter()
            .map(|section| (section.heading_path.last().cloned().unwrap_or_default(), Vec::new()))
            .collect();
        for chunk in chunks {
            sections[chunk.section].1.push(chunk.id);
        }
        self.sections.insert(id.clone(), sections.clone());
        Ok(sections)
    }
}
