//! Dates in the forms that are out there → UTC. Pure.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

/// The second that a date names; a date alone is its beginning in UTC. `None` if it names none.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 {
        return None;
    }
    iso(text).or_else(|| by_words(text))
}

fn at(date: Date, time: (i8, i8, i8), offset: i32) -> Option<Timestamp> {
    let (hour, minute, second) = time;
    // 24:00 is the next day's beginning; a leap second is the one before it.
    let (date, hour) = if hour == 24 { (date.tomorrow().ok()?, 0) } else { (date, hour) };
    let datetime =
        DateTime::new(date.year(), date.month(), date.day(), hour, minute, second.min(59), 0)
            .ok()?;
    let offset = Offset::from_seconds(offset).ok()?;
    Some(datetime.to_zoned_datetime(TimeZone::fixed(offset)).ok()?.timestamp())
}

/// ISO 8601 and its profiles, with what is left out: `2003`, `2003-12`, `20031231`, `2003-335`,
/// `2003-12-31T10:14:55.5Z`, `2003-12-31 10:14`.
fn iso(text: &str) -> Option<Timestamp> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let number = |text: &str| text.parse::<i16>().ok();
    let small = |text: &str| text.parse::<i8>().ok();
    let day = match parts.as_slice() {
        [y, m, d] if y.len() == 4 && digits(y) && digits(m) && digits(d) && d.len() <= 2 => {
            Date::new(number(y)?, small(m)?, small(d)?).ok()?
        }
        [y, m] if y.len() == 4 && digits(y) && digits(m) && m.len() <= 2 => {
            Date::new(number(y)?, small(m)?, 1).ok()?
        }
        [y, n] if y.len() == 4 && digits(y) && digits(n) && n.len() == 3 => {
            of_year(number(y)?, number(n)?)?
        }
        [all] if digits(all) => match all.len() {
            4 => Date::new(number(all)?, 1, 1).ok()?,
            7 => of_year(number(&all[..4])?, number(&all[4..])?)?,
            8 => Date::new(number(&all[..4])?, small(&all[4..6])?, small(&all[6..])?).ok()?,
            _ => return None,
        },
        _ => return None,
    };
    if rest.is_empty() {
        return at(day, (0, 0, 0), 0);
    }
    let zone_at = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    at(day, clock(time)?, offset(zone.trim()).unwrap_or(0))
}

fn of_year(year: i16, day: i16) -> Option<Date> {
    Date::new(year, 1, 1).ok()?.checked_add(jiff::Span::new().days(i64::from(day) - 1)).ok()
}

/// `10:14`, `10:14:55`, `10:14:55.5`, `101455`, `10`.
fn clock(text: &str) -> Option<(i8, i8, i8)> {
    // Fractions of a second are dropped: not every form of one feed has them.
    let (whole, _) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let parts: Vec<&str> = if whole.contains(':') {
        whole.split(':').collect()
    } else if whole.is_ascii() && matches!(whole.len(), 2 | 4 | 6) {
        (0..whole.len()).step_by(2).map(|at| &whole[at..at + 2]).collect()
    } else {
        return None;
    };
    let number = |at: usize| parts.get(at).map_or(Some(0), |text| text.trim().parse::<i8>().ok());
    if parts.len() > 3 || parts.iter().any(|part| part.len() > 2) {
        return None;
    }
    let (hour, minute, second) = (number(0)?, number(1)?, number(2)?);
    ((0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=61).contains(&second))
        .then_some((hour, minute, second))
}

/// `Thu, 01 Jan 2004 19:48:21 GMT`, `January 1, 2004 7:48 PM`, `Sun Jan  4 16:29:06 PST 2004`,
/// `01/02/2004 10:00`, and others of these words in any order.
fn by_words(text: &str) -> Option<Timestamp> {
    let (mut day, mut month, mut year) = (None, None, None);
    let mut time = None;
    let mut zone = None;
    let mut afternoon = None;
    let separated = text.replace([',', '(', ')'], " ");
    for word in separated.split_whitespace() {
        let lower = word.to_lowercase();
        let first_digits = word.bytes().take_while(u8::is_ascii_digit).count();
        if word.contains(':') && first_digits > 0 && time.is_none() {
            let (clock_part, suffix) = split_suffix(&lower);
            let (clock_part, after) = match clock_part.find(['+', '-']) {
                Some(at) if at > 0 => clock_part.split_at(at),
                _ => (clock_part, ""),
            };
            time = clock(clock_part);
            time?;
            zone = zone.or_else(|| offset(after)).or_else(|| offset(suffix));
            afternoon = afternoon.or_else(|| half(suffix));
        } else if let Some(half) = half(&lower) {
            afternoon = Some(half);
        } else if let Some(number) = month_of(&lower) {
            month = month.or(Some(number));
        } else if first_digits == word.len() && !word.is_empty() {
            let number: i32 = word.parse().ok()?;
            match word.len() {
                4 if year.is_none() => year = Some(number),
                1 | 2 if day.is_none() && !(1..=31).contains(&number) => return None,
                1 | 2 if day.is_none() => day = Some(number),
                1 | 2 if year.is_none() => year = Some(two_digits(number)),
                _ => {}
            }
        } else if word.matches(['/', '-', '.']).count() == 2 && first_digits > 0 {
            let parts: Vec<&str> = word.split(['/', '-', '.']).collect();
            let [a, b, c] = parts[..] else { continue };
            if let Some(number) = month_of(&b.to_lowercase()) {
                (day, month) = (a.parse().ok(), Some(number));
                year = c.parse::<i32>().ok().map(|n| if c.len() < 3 { two_digits(n) } else { n });
            } else if a.len() == 4 {
                (year, month, day) = (a.parse().ok(), b.parse().ok(), c.parse().ok());
            } else {
                let (first, second): (i32, i32) = (a.parse().ok()?, b.parse().ok()?);
                year = c.parse::<i32>().ok().map(|n| if c.len() < 3 { two_digits(n) } else { n });
                // Month first, as the writers of such dates mostly do, unless it can't be one.
                let day_first = word.contains('.') || first > 12;
                (month, day) = if day_first {
                    (i8::try_from(second).ok(), Some(first))
                } else {
                    (i8::try_from(first).ok(), Some(second))
                };
            }
        } else if first_digits > 0 && lower[first_digits..].chars().all(char::is_alphabetic) {
            // 1st, 2nd, 3rd.
            day = day.or_else(|| lower[..first_digits].parse().ok());
        } else if let Some(found) = offset(word) {
            // "GMT +0100": the figures say more than the name.
            zone = Some(found);
        }
    }
    let date =
        Date::new(i16::try_from(year?).ok()?, month?, i8::try_from(day.unwrap_or(1)).ok()?).ok()?;
    let mut time = time.unwrap_or((0, 0, 0));
    match afternoon {
        Some(true) if time.0 < 12 => time.0 += 12,
        Some(false) if time.0 == 12 => time.0 = 0,
        _ => {}
    }
    at(date, time, zone.unwrap_or(0))
}

fn split_suffix(word: &str) -> (&str, &str) {
    match word.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => word.split_at(at),
        None => (word, ""),
    }
}

fn half(word: &str) -> Option<bool> {
    match word.trim_end_matches('.').replace('.', "").as_str() {
        "am" => Some(false),
        "pm" => Some(true),
        _ => None,
    }
}

fn two_digits(number: i32) -> i32 {
    if number < 70 { 2000 + number } else { 1900 + number }
}

/// The number of a month by its name: English, German, French, Spanish, Italian, Dutch.
fn month_of(word: &str) -> Option<i8> {
    let word = word.trim_end_matches('.');
    if word.chars().count() < 3 || !word.chars().all(char::is_alphabetic) {
        return None;
    }
    const MONTHS: [&[&str]; 12] = [
        &["jan", "gen", "ene"],
        &["feb", "fév", "fev"],
        &["mar", "mär", "maa", "mrz"],
        &["apr", "avr", "abr"],
        &["may", "mai", "mei", "mag"],
        &["jun", "juin", "giu"],
        &["jul", "juil", "lug"],
        &["aug", "aoû", "aou", "ago"],
        &["sep", "set"],
        &["oct", "okt", "ott"],
        &["nov"],
        &["dec", "dez", "déc", "dic"],
    ];
    // "juin" and "juil" share three letters with each other, not with another month's English.
    let found = MONTHS.iter().position(|names| names.iter().any(|name| word.starts_with(name)))?;
    i8::try_from(found + 1).ok()
}

/// Seconds east of UTC.
fn offset(word: &str) -> Option<i32> {
    if word.is_empty() {
        return None;
    }
    let upper = word.to_ascii_uppercase();
    let hours = |n: i32| Some(n * 3600);
    if let Some(rest) = upper.strip_prefix("GMT").or_else(|| upper.strip_prefix("UTC")) {
        return if rest.is_empty() { Some(0) } else { offset(rest) };
    }
    match upper.as_str() {
        "Z" | "UT" | "WET" => return Some(0),
        "EST" | "CDT" => return hours(-5),
        "EDT" => return hours(-4),
        "CST" | "MDT" => return hours(-6),
        "MST" | "PDT" => return hours(-7),
        "PST" | "AKDT" => return hours(-8),
        "AKST" => return hours(-9),
        "HST" => return hours(-10),
        "AST" => return hours(-4),
        "ADT" => return hours(-3),
        "ART" | "BRT" => return hours(-3),
        "NST" => return Some(-12_600),
        "BST" | "CET" | "MET" | "WEST" => return hours(1),
        "CEST" | "EET" | "MEST" | "SAST" => return hours(2),
        "EEST" | "MSK" => return hours(3),
        "IST" => return Some(19_800),
        "HKT" | "SGT" | "AWST" => return hours(8),
        "JST" | "KST" => return hours(9),
        "AEST" => return hours(10),
        "AEDT" => return hours(11),
        "NZST" => return hours(12),
        "NZDT" => return hours(13),
        _ => {}
    }
    let (sign, digits) = match upper.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.parse::<i32>().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    (hours <= 25 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn the_forms_that_are_out_there() {
        for (given, wanted) in [
            ("Thu, 01 Jan 2004 19:48:21 GMT", "2004-01-01T19:48:21Z"),
            ("Wed, 01 Jan 2004 19:48:21 +0100", "2004-01-01T18:48:21Z"),
            ("01 Jan 2004 19:48 EST", "2004-01-02T00:48:00Z"),
            ("1 Jan 04 00:00:00 PDT", "2004-01-01T07:00:00Z"),
            ("Sun Jan  4 16:29:06 PST 2004", "2004-01-05T00:29:06Z"),
            ("January 1st, 2004 7:48 PM", "2004-01-01T19:48:00Z"),
            ("01/02/2004 10:00:00", "2004-01-02T10:00:00Z"),
            ("31.12.2003", "2003-12-31T00:00:00Z"),
            ("2003-12-31T10:14:55Z", "2003-12-31T10:14:55Z"),
            ("2003-12-31T10:14:55.250+01:00", "2003-12-31T09:14:55Z"),
            ("2003-12-31 10:14:55", "2003-12-31T10:14:55Z"),
            ("2003-12-31T10:14-08:00", "2003-12-31T18:14:00Z"),
            ("2003-12", "2003-12-01T00:00:00Z"),
            ("2003", "2003-01-01T00:00:00Z"),
            ("20031231", "2003-12-31T00:00:00Z"),
            ("2003-335", "2003-12-01T00:00:00Z"),
            ("2003-12-31T24:00:00Z", "2004-01-01T00:00:00Z"),
            ("Mo, 5 Mai 2025 08:00:00 +0200", "2025-05-05T06:00:00Z"),
            ("Thu, 5 Apr 2012 23:47:37 GMT+0200", "2012-04-05T21:47:37Z"),
        ] {
            let wanted = wanted.parse().unwrap();
            assert_eq!(parse(given), Some(wanted), "{given}");
        }
        for nothing in ["", "yesterday", "2003-13-01", "Thu, 99 Jan 2004", "12", "0"] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\PC0-9:+/. -]{0,40}") {
            let _ = parse(&text);
        }
    }
}
