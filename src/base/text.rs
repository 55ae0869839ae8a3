//! What is done to text everywhere.

/// `text` with each run of white space as one space, and none at its ends.
pub fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}
/// The one of some names that a mistyped one is nearest to, at most `most` edits away (Damerau, CACM
/// 1964).
pub fn nearest<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (strsim::damerau_levenshtein(name, wanted), name));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

/// Those of some names that are like another (Jaro-Winkler above `least`, 0 to 1) or hold it, whatever
/// their letters' case; the likest first, three at the most.
pub fn alike<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
    least: f64,
) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let holds = !wanted.is_empty() && lower.contains(&wanted);
            let likeness = strsim::jaro_winkler(&lower, &wanted);
            (if holds { 1.0 + likeness } else { likeness }, name)
        })
        .filter(|(likeness, _)| *likeness > least)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    near.truncate(3);
    near.into_iter().map(|(_, name)| name).collect()
}
