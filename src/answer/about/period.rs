//! Periods in questions: "in May 2026", "since March", "between January and March", "last month".

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::calendar::{MONTHS, Unit, add, ordinal, unit};
use super::words::Cursor;

/// Days from one (inclusive) to another (exclusive), either end open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Period {
    pub since: Option<Date>,
    pub until: Option<Date>,
}

impl Period {
    /// Its ends as moments, in UTC.
    pub fn moments(self) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
        let moment = |date: Option<Date>| match date {
            None => Some(None),
            Some(date) => date.to_zoned_datetime(TimeZone::UTC).ok().map(|at| Some(at.timestamp())),
        };
        Some((moment(self.since)?, moment(self.until)?))
    }
}

/// Reads a period that comes next, its preposition included.
pub(super) fn read(cursor: &mut Cursor<'_>, today: Date) -> Option<Period> {
    let mut at = *cursor;
    let period = open(&mut at, today).or_else(|| {
        at = *cursor;
        closed(&mut at, today)
    })?;
    *cursor = at;
    Some(period)
}

/// Whether the period that comes next is told from today.
pub(super) fn is_relative(cursor: Cursor<'_>) -> bool {
    let mut at = cursor;
    at.any(&["in", "from", "of", "over", "during"]);
    at.phrase("the");
    matches!(at.peek(), "this" | "last" | "past" | "today" | "yesterday" | "since")
}

fn open(at: &mut Cursor<'_>, today: Date) -> Option<Period> {
    let begins = |date: Date| Period { since: Some(date), until: None };
    let ends = |date: Date| Period { since: None, until: Some(date) };
    if matches!(at.peek(), "between" | "from") {
        return range(at, today);
    }
    if at.any(&["ever since", "since", "as of", "starting"]) {
        at.any(&["in", "from"]);
        return unit(at, today)?.days(today).map(|(first, _)| begins(first));
    }
    if at.phrase("after") {
        return unit(at, today)?.days(today).map(|(_, end)| begins(end));
    }
    if at.any(&["before", "prior to"]) {
        return unit(at, today)?.days(today).map(|(first, _)| ends(first));
    }
    if at.any(&["until", "till", "up to", "through"]) {
        at.any(&["the end of"]);
        return unit(at, today)?.days(today).map(|(_, end)| ends(end));
    }
    None
}

/// "between … and …", "from … to …", "from …".
fn range(at: &mut Cursor<'_>, today: Date) -> Option<Period> {
    const TO: &[&str] = &["and", "to", "until", "till", "through"];
    let is_between = at.phrase("between");
    at.phrase("from");
    let start = *at;
    let day = ordinal(at.peek());
    let Some(first) = unit(at, today) else {
        // "3 and 9 May 2026"
        *at = start;
        let day = day?;
        at.skip(1);
        if !at.any(TO) {
            return None;
        }
        let last = unit(at, today)?;
        let Unit::Day(_, month, _) = last else { return None };
        let (last, end) = last.days(today)?;
        let first = Date::new(last.year(), month, day).ok()?;
        return (first < end).then_some(Period { since: Some(first), until: Some(end) });
    };
    if !at.any(TO) {
        if is_between {
            return None;
        }
        let (since, end) = first.days(today)?;
        let until = (!at.any(&["on", "onwards", "onward"])).then_some(end);
        return Some(Period { since: Some(since), until });
    }
    if at.any(&["now", "today"]) {
        let (since, _) = first.days(today)?;
        return Some(Period { since: Some(since), until: Some(add(today, 1.day())?) });
    }
    let last = unit(at, today)?;
    let (since, until) = match (first.year(), last.year()) {
        (Some(year), None) => {
            let (since, _) = first.days(today)?;
            let days = last.with_year(year).days(today)?;
            let later = || last.with_year(year + 1).days(today);
            (since, if days.0 < since { later()? } else { days }.1)
        }
        (None, _) => {
            let (begins, until) = last.days(today)?;
            let days = first.with_year(begins.year()).days(today)?;
            let earlier = || first.with_year(begins.year() - 1).days(today);
            (if days.0 > begins { earlier()? } else { days }.0, until)
        }
        (Some(_), Some(_)) => (first.days(today)?.0, last.days(today)?.1),
    };
    (since < until).then_some(Period { since: Some(since), until: Some(until) })
}

fn closed(at: &mut Cursor<'_>, today: Date) -> Option<Period> {
    const IN: &[&str] =
        &["in", "during", "of", "on", "at", "from", "for", "within", "throughout", "over", "dated"];
    let is_told = at.any(IN);
    if !is_told && ordinal(at.peek()).is_none() {
        let at = *at;
        let is_plain = is_relative(at) || MONTHS.iter().any(|m| m.to_lowercase() == at.peek());
        // A year by itself, or "May", may be part of a name.
        if !is_plain || at.peek() == "may" {
            return None;
        }
    }
    let (since, until) = unit(at, today)?.days(today)?;
    Some(Period { since: Some(since), until: Some(until) })
}
