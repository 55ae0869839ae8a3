//! Days, months, years, seasons and weeks in the words of a question.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

use super::words::{Cursor, number};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A stretch of the calendar; without a year, the last one that has begun is meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Days(Date, Date),
    Year(i16),
    Month(i8, Option<i16>),
    Day(i8, i8, Option<i16>),
    /// Four of three months each, from March.
    Season(i8, Option<i16>),
}

pub(super) fn add(date: Date, span: Span) -> Option<Date> {
    date.checked_add(span).ok()
}

impl Unit {
    /// Its year, if it says one.
    pub fn year(self) -> Option<i16> {
        match self {
            Unit::Days(first, _) => Some(first.year()),
            Unit::Year(year) => Some(year),
            Unit::Month(_, year) | Unit::Day(_, _, year) | Unit::Season(_, year) => year,
        }
    }

    pub fn with_year(self, year: i16) -> Unit {
        match self {
            Unit::Month(month, None) => Unit::Month(month, Some(year)),
            Unit::Day(day, month, None) => Unit::Day(day, month, Some(year)),
            Unit::Season(season, None) => Unit::Season(season, Some(year)),
            Unit::Days(..) | Unit::Year(_) | Unit::Month(..) | Unit::Day(..) | Unit::Season(..) => {
                self
            }
        }
    }

    /// First day and the day after the last.
    pub fn days(self, today: Date) -> Option<(Date, Date)> {
        if self.year().is_none() {
            let days = self.with_year(today.year()).days(today)?;
            return if days.0 <= today {
                Some(days)
            } else {
                self.with_year(today.year() - 1).days(today)
            };
        }
        let from = |year: i16, month: i8, day: i8| Date::new(year, month, day).ok();
        match self {
            Unit::Days(first, end) => Some((first, end)),
            Unit::Year(year) => Some((from(year, 1, 1)?, from(year + 1, 1, 1)?)),
            Unit::Month(month, year) => {
                let first = from(year?, month, 1)?;
                Some((first, add(first, 1.month())?))
            }
            Unit::Day(day, month, year) => {
                let day = from(year?, month, day)?;
                Some((day, add(day, 1.day())?))
            }
            Unit::Season(season, year) => {
                let first = from(year?, 3 + 3 * season, 1)?;
                Some((first, add(first, 3.months())?))
            }
        }
    }
}

/// A day of the month.
pub(super) fn ordinal(word: &str) -> Option<i8> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let rest = word.strip_prefix(digits)?;
    let is_day = digits.len() <= 2 && matches!(rest, "" | "st" | "nd" | "rd" | "th");
    is_day.then(|| digits.parse().ok()).flatten().filter(|day| (1..=31).contains(day))
}

fn year(word: &str) -> Option<i16> {
    let is_year = word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit());
    is_year.then(|| word.parse().ok()).flatten().filter(|year| (1970..=2100).contains(year))
}

fn month(word: &str) -> Option<i8> {
    let is = |name: &str| {
        let name = name.to_lowercase();
        name == word || (word.len() >= 3 && word.len() <= 4 && name.starts_with(word))
    };
    let at = MONTHS.iter().position(|name| is(name))?;
    i8::try_from(at + 1).ok()
}

fn some_year(at: &mut Cursor<'_>) -> Option<i16> {
    let before = *at;
    at.any(&["of", ","]);
    let found = year(at.peek());
    match found {
        Some(_) => at.skip(1),
        None => *at = before,
    }
    found
}

/// "the first week of March 2017", "early June", "the second half of 2026", "Q1 2026".
fn part(at: &mut Cursor<'_>, today: Date) -> Option<Unit> {
    const FIRSTS: &[&str] = &["first", "second", "third", "fourth", "last"];
    let mut next = *at;
    next.any(&["the"]);
    let word = next.take()?.low.as_str();
    let days = |first: Date, end: Date| Some(Unit::Days(first, end));
    if let Some(quarter @ 1..=4) = word.strip_prefix('q').and_then(|n| n.parse::<i8>().ok()) {
        let year = some_year(&mut next).unwrap_or(today.year());
        let first = Date::new(year, 3 * quarter - 2, 1).ok()?;
        *at = next;
        return days(first, add(first, 3.months())?);
    }
    let thirds = match word {
        "early" | "beginning" | "start" => Some(0),
        "mid" | "middle" => Some(1),
        "late" | "end" => Some(2),
        _ => None,
    };
    if let Some(third) = thirds {
        next.any(&["in", "of"]);
        let whole = unit(&mut next, today)?;
        let (first, end) = whole.days(today)?;
        let (one, two) = match whole {
            Unit::Month(..) => (add(first, 10.days())?, add(first, 20.days())?),
            Unit::Year(_) => (add(first, 4.months())?, add(first, 8.months())?),
            Unit::Days(..) | Unit::Day(..) | Unit::Season(..) => return None,
        };
        *at = next;
        return [(first, one), (one, two), (two, end)].get(third).map(|&(a, b)| Unit::Days(a, b));
    }
    let which = FIRSTS.iter().position(|first| *first == word)?;
    let is_last = word == "last";
    let length = next.take()?.low.as_str();
    if !next.any(&["of", "in"]) {
        return None;
    }
    let whole = unit(&mut next, today)?;
    let (first, end) = whole.days(today)?;
    let nth = i64::try_from(which).ok()?;
    let found = match (length, whole) {
        ("week", Unit::Month(..)) if is_last => (add(end, -1.week())?, end),
        ("week", Unit::Month(..)) => (add(first, nth.weeks())?, add(first, (nth + 1).weeks())?),
        ("half", Unit::Month(..) | Unit::Year(_)) if which < 2 || is_last => {
            let middle = match whole {
                Unit::Year(_) => add(first, 6.months())?,
                _ => add(first, 15.days())?,
            };
            if which == 0 { (first, middle) } else { (middle, end) }
        }
        ("quarter", Unit::Year(_)) => {
            let first = add(first, (3 * nth.min(3)).months())?;
            (first, add(first, 3.months())?)
        }
        _ => return None,
    };
    *at = next;
    days(found.0, found.1)
}

pub(super) fn unit(at: &mut Cursor<'_>, today: Date) -> Option<Unit> {
    if let Some(part) = part(at, today) {
        return Some(part);
    }
    let before = *at;
    at.any(&["the year", "the month of", "the"]);
    let word = at.take()?;
    let low = word.bare();
    if let Some(year) = year(low) {
        return Some(Unit::Year(year));
    }
    if let Ok(date) = low.parse::<Date>() {
        return Some(Unit::Days(date, add(date, 1.day())?));
    }
    if let Some((left, right)) = low.split_once('-')
        && let (Some(year), Ok(month @ 1..=12)) = (year(left), right.parse::<i8>())
    {
        return Some(Unit::Month(month, Some(year)));
    }
    if let Some(month) = month(low) {
        let day = ordinal(at.peek());
        if let Some(day) = day {
            at.skip(1);
            return Some(Unit::Day(day, month, some_year(at)));
        }
        return Some(Unit::Month(month, some_year(at)));
    }
    if let Some(day) = ordinal(low) {
        at.phrase("of");
        let month = month(at.take()?.bare())?;
        return Some(Unit::Day(day, month, some_year(at)));
    }
    if let Some(season) = season(low) {
        return Some(Unit::Season(season, some_year(at)));
    }
    let found = relative(low, at, today);
    if found.is_none() {
        *at = before;
    }
    found
}

fn season(word: &str) -> Option<i8> {
    match word {
        "spring" => Some(0),
        "summer" => Some(1),
        "autumn" | "fall" => Some(2),
        // Begins in December, so that it is named after its first year.
        "winter" => Some(3),
        _ => None,
    }
}

fn relative(word: &str, at: &mut Cursor<'_>, today: Date) -> Option<Unit> {
    let tomorrow = add(today, 1.day())?;
    match word {
        "today" => return Some(Unit::Days(today, tomorrow)),
        "yesterday" => return Some(Unit::Days(add(today, -1.day())?, today)),
        "this" | "last" | "past" | "previous" => {}
        _ => return weekday(word, today),
    }
    if let Some(count) = number(at.peek()).and_then(|n| i64::try_from(n).ok()) {
        at.skip(1);
        let span = match at.take()?.bare() {
            "day" | "days" => count.days(),
            "week" | "weeks" => count.weeks(),
            "month" | "months" => count.months(),
            "year" | "years" => count.years(),
            _ => return None,
        };
        return (word != "this").then_some(Unit::Days(add(tomorrow, -span)?, tomorrow));
    }
    let next = at.take()?.bare();
    let monday = add(today, -i64::from(today.weekday().to_monday_zero_offset()).days())?;
    let first = today.first_of_month();
    let back = i64::from(word != "this");
    match next {
        "week" => {
            let monday = add(monday, -back.weeks())?;
            Some(Unit::Days(monday, add(monday, 1.week())?))
        }
        "month" => {
            let first = add(first, -back.months())?;
            Some(Unit::Days(first, add(first, 1.month())?))
        }
        "quarter" => {
            let into = i64::from((today.month() - 1) % 3);
            let first = add(first, -(into + 3 * back).months())?;
            Some(Unit::Days(first, add(first, 3.months())?))
        }
        "year" => Some(Unit::Year(today.year() - i16::from(word != "this"))),
        _ => {
            if let Some(season) = season(next) {
                let (begins, end) = Unit::Season(season, None).days(today)?;
                let is_past = word != "this" && today < end;
                let years = if is_past { 1.year() } else { 0.years() };
                return Some(Unit::Days(add(begins, -years)?, add(end, -years)?));
            }
            if let Some(month) = month(next) {
                let (begins, end) = Unit::Month(month, None).days(today)?;
                let years = if word != "this" && today < end { 1.year() } else { 0.years() };
                return Some(Unit::Days(add(begins, -years)?, add(end, -years)?));
            }
            weekday(next, today)
        }
    }
}

/// The last day of that name before today.
fn weekday(word: &str, today: Date) -> Option<Unit> {
    let weekday = match word {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    };
    let day = today.nth_weekday(-1, weekday).ok()?;
    Some(Unit::Days(day, add(day, 1.day())?))
}
