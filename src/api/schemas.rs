//! The schemas of the JSON shapes, by their names.

/// Each schema's name with its text (JSON Schema 2020-12).
pub const SCHEMAS: [(&str, &str); 9] = [
    ("Answer", include_str!("schema/ask.json")),
    ("Article", include_str!("schema/article.json")),
    ("Articles", include_str!("schema/articles.json")),
    ("Error", include_str!("schema/error.json")),
    ("Search", include_str!("schema/search.json")),
    ("Sources", include_str!("schema/sources.json")),
    ("Status", include_str!("schema/status.json")),
    ("Text", include_str!("schema/text.json")),
    // Of a checked draft.
    ("Claims", CLAIMS),
];

const CLAIMS: &str = include_str!("schema/cite.json");
