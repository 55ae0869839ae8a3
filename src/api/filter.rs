//! Filters as a reader of the JSON doors gives them: in words, checked against the library, so that
//! a name that is not there is an error that says which are near, and never a wider search.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result, Step};
use crate::base::text::alike;
use crate::base::{Filter, SourceId};
use crate::library::Library;
use crate::source::fetch::Source;

/// A filter in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterWords {
    /// Sources, each by its name or its title.
    pub source: Vec<String>,
    /// Authors, exactly.
    pub author: Vec<String>,
    /// Tags, exactly.
    pub tag: Vec<String>,
    /// Published on that day (UTC) or at that instant, or later.
    pub since: Option<String>,
    /// Published before that day or instant.
    pub until: Option<String>,
    /// Words of the title.
    pub title: Option<String>,
}

impl FilterWords {
    /// What it means in a library.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] as of [`FilterWords::alone`] and [`FilterWords::check_names`], or if a
    /// source is not there; then with the names that come nearest.
    pub fn understood(&self, library: &Library) -> Result<Filter> {
        let mut filter = self.alone()?;
        if !self.source.is_empty() {
            let known = library.sources()?;
            for wanted in &self.source {
                let id = Source::of_name(wanted).ok().map(|source| source.id());
                let found = known
                    .iter()
                    .find(|info| info.id.0 == *wanted || Some(&info.id) == id.as_ref())
                    .or_else(|| {
                        let is_titled = |title: &String| title.eq_ignore_ascii_case(wanted.trim());
                        known.iter().find(|info| info.title.as_ref().is_some_and(is_titled))
                    });
                let Some(found) = found else {
                    let titles = known.iter().filter_map(|info| info.title.as_deref());
                    let names = known.iter().map(|info| info.id.0.as_str()).chain(titles);
                    return Err(unknown("source", wanted, names).step(Step::ListSources));
                };
                filter.sources.push(found.id.clone());
            }
        }
        self.check_names(library)?;
        Ok(filter)
    }

    /// What it means whatever the library has; without its sources.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if a date is none, nothing can lie between the two, or the title is
    /// blank.
    pub fn alone(&self) -> Result<Filter> {
        let filter = Filter {
            since: self.since.as_deref().map(day).transpose()?,
            until: self.until.as_deref().map(day).transpose()?,
            authors: self.author.clone(),
            tags: self.tag.clone(),
            title: self.title.clone().filter(|title| !title.is_empty()),
            sources: Vec::new(),
        };
        if let (Some(since), Some(until)) = (filter.since, filter.until)
            && since >= until
        {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("nothing can be both since {since} and before {until}"),
            )
            .hint("give a later \"until\", or leave one of them out"));
        }
        if filter.title.as_ref().is_some_and(|title| title.trim().is_empty()) {
            return Err(Error::new(ErrorKind::Usage, "the filter's title is blank")
                .hint("give words of the title, or leave it out"));
        }
        Ok(filter)
    }

    /// Checks that its authors and tags are in a library.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if one is not, with the names that come nearest.
    pub fn check_names(&self, library: &Library) -> Result<()> {
        if self.author.is_empty() && self.tag.is_empty() {
            return Ok(());
        }
        let (authors, tags) = (library.authors()?, library.tags()?);
        for (what, wanted, known) in [("author", &self.author, authors), ("tag", &self.tag, tags)] {
            if let Some(none) = wanted.iter().find(|name| !known.contains(name)) {
                return Err(unknown(what, none, known.iter().map(String::as_str)));
            }
        }
        Ok(())
    }

    /// Of a filter that was understood.
    pub fn of(filter: &Filter) -> FilterWords {
        FilterWords {
            source: filter.sources.iter().map(|SourceId(name)| name.clone()).collect(),
            author: filter.authors.clone(),
            tag: filter.tags.clone(),
            since: filter.since.map(|at| at.to_string()),
            until: filter.until.map(|at| at.to_string()),
            title: filter.title.clone(),
        }
    }
}

/// The beginning of a day in UTC, or an instant.
///
/// # Errors
/// [`ErrorKind::Usage`] if it is neither.
pub fn day(text: &str) -> Result<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    text.parse::<Date>()
        .and_then(|date| date.to_zoned_datetime(TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|error| {
            Error::new(ErrorKind::Usage, format!("\"{text}\" is not a date"))
                .caused_by(error)
                .hint("write it as 2025-03-04")
        })
}

fn unknown<'a>(what: &str, wanted: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let near = alike(wanted, known, 0.7);
    let error = Error::new(ErrorKind::Usage, format!("there is no {what} \"{wanted}\""));
    if near.is_empty() {
        return error.hint(format!("leave the {what} out"));
    }
    let names: Vec<String> = near.iter().map(|name| format!("\"{name}\"")).collect();
    error.hint(format!("did you mean {}?", names.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_named_and_far_ones_are_not() {
        let error = unknown("author", "Jorun Aas", ["Jorunn Aas", "Ida Holm"].into_iter());
        assert_eq!(error.to_string(), "there is no author \"Jorun Aas\"");
        assert_eq!(error.steps(), [Step::Say("did you mean \"Jorunn Aas\"?".into())]);
        let error = unknown("tag", "zzz", ["boats"].into_iter());
        assert_eq!(error.steps(), [Step::Say("leave the tag out".into())]);
    }

    #[test]
    fn a_blank_title_and_a_time_that_is_none_are_errors_and_an_empty_title_is_no_filter() {
        let titled = |title: &str| FilterWords { title: Some(title.into()), ..Default::default() };
        assert_eq!(titled("").alone().unwrap(), Filter::default());
        assert_eq!(titled(" Steam").alone().unwrap().title.as_deref(), Some(" Steam"));
        let error = titled(" \n").alone().unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.chain().contains("title"), "{error}");
        let within = |since: &str, until: &str| FilterWords {
            since: Some(since.into()),
            until: Some(until.into()),
            ..FilterWords::default()
        };
        assert!(within("2025-03-04", "2025-03-05").alone().is_ok());
        for until in ["2025-03-04", "2025-03-03"] {
            let error = within("2025-03-04", until).alone().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{until}");
        }
    }

    #[test]
    fn a_date_is_a_day_or_an_instant() {
        assert_eq!(day("2025-03-04").unwrap().to_string(), "2025-03-04T00:00:00Z");
        assert_eq!(day("2025-03-04T05:06:07Z").unwrap().to_string(), "2025-03-04T05:06:07Z");
        assert_eq!(day("soon").unwrap_err().kind(), ErrorKind::Usage);
    }
}
