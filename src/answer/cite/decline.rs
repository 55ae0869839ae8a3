//! Whether a sentence says that the passages don't answer. Pure.
//!
//! Each pattern is anchored at the beginning of a clause and matched word by word, so that a fact
//! that shares some words with a refusal stays a fact: "There is no direct train" is none, "There
//! is no direct mention of a train" is one.

/// Words of the patterns below, by the name that they use for them.
const CLASSES: [(&str, &[&str]); 12] = [
    (
        "DET",
        &["the", "this", "these", "those", "that", "any", "all", "of", "a", "an", "your", "our"],
    ),
    (
        "PRE",
        &["given", "provided", "above", "quoted", "following", "supplied", "available", "cited"],
    ),
    ("PASSAGE", &["passage", "passages", "excerpt", "excerpts"]),
    (
        "TEXT",
        &[
            "passage",
            "passages",
            "excerpt",
            "excerpts",
            "article",
            "articles",
            "text",
            "texts",
            "author",
            "authors",
            "writer",
            "document",
            "documents",
            "post",
            "posts",
            "newsletter",
            "newsletters",
            "context",
            "source",
            "sources",
        ],
    ),
    ("AFTER", &["provided", "given", "above", "available", "itself", "themselves", "also", "here"]),
    ("AUX", &["do", "does", "did", "can", "could", "would", "has", "have"]),
    ("BE", &["am", "is", "are", "was", "were", "been", "be"]),
    (
        "ADV",
        &[
            "explicitly",
            "specifically",
            "directly",
            "clearly",
            "expressly",
            "actually",
            "really",
            "even",
            "fully",
            "exactly",
        ],
    ),
    (
        "SAY",
        &[
            "mention",
            "mentions",
            "mentioned",
            "say",
            "says",
            "said",
            "state",
            "states",
            "stated",
            "specify",
            "specifies",
            "specified",
            "disclose",
            "discloses",
            "disclosed",
            "discuss",
            "discusses",
            "discussed",
            "address",
            "addresses",
            "addressed",
            "answer",
            "answers",
            "answered",
            "explain",
            "explains",
            "explained",
            "describe",
            "describes",
            "described",
            "indicate",
            "indicates",
            "indicated",
            "reveal",
            "reveals",
            "clarify",
            "tell",
            "tells",
            "told",
        ],
    ),
    (
        "HOLD",
        &[
            "provide", "provides", "provided", "contain", "contains", "include", "includes",
            "included", "give", "gives", "given", "offer", "offers", "have", "has", "hold",
            "holds", "cover", "covers", "list", "lists", "name", "names",
        ],
    ),
    (
        "ADJ",
        &[
            "specific",
            "direct",
            "explicit",
            "clear",
            "further",
            "exact",
            "other",
            "relevant",
            "such",
            "any",
            "enough",
            "sufficient",
            "more",
            "additional",
            "detailed",
            "particular",
        ],
    ),
    (
        "INFO",
        &[
            "information",
            "detail",
            "details",
            "mention",
            "answer",
            "answers",
            "figure",
            "figures",
            "number",
            "numbers",
            "evidence",
            "indication",
            "explanation",
            "specifics",
            "reference",
            "statement",
            "data",
        ],
    ),
];

/// Where a clause may begin with a refusal. Words in lower case are meant themselves, `a|b` either;
/// those in capitals are [`CLASSES`]; `?` is one or none, `*` any number, `+` at least one; `...` is
/// up to twelve words of the same clause without a word of [`SUBORDINATE`]; `$` is the sentence's end.
const PATTERNS: [&str; 33] = [
    // The passages don't say.
    "DET* PRE* TEXT AFTER* AUX not ADV* SAY",
    "DET* PRE* PASSAGE AFTER* AUX not ADV* HOLD",
    "DET* PRE* TEXT AFTER* AUX not ADV* HOLD DET* ADJ* INFO",
    "DET* PRE+ information AFTER* AUX not ADV* SAY|HOLD",
    "DET* information AFTER+ AUX not ADV* SAY|HOLD",
    "DET* PRE* TEXT AFTER* never ADV* SAY",
    "DET* PRE* TEXT AFTER* SAY nothing",
    "DET* PRE* TEXT AFTER* HOLD no ADJ* INFO",
    "DET* PRE* TEXT AFTER* make|makes|made no ADJ* mention|reference|statement",
    "DET* PRE* TEXT AFTER* fail|fails|failed to ADV* SAY",
    "DET* PRE* TEXT AFTER* lack|lacks ADJ* INFO",
    "DET* PRE* TEXT AFTER* BE silent",
    "DET* PRE* TEXT AFTER* BE not ADV* clear|explicit|specific",
    // None of them says.
    "none|neither of DET* PRE* TEXT AFTER* ADV* SAY|HOLD",
    "no|neither PRE* PASSAGE AFTER* ADV* SAY|HOLD",
    "nothing in DET* PRE* TEXT ADV* SAY|HOLD|suggests",
    // There is no mention.
    "there BE no ADJ* mention",
    "there BE no ADJ* information|details of|about|regarding|concerning|on|as|given|provided|available|$",
    "there BE no ADJ+ INFO of|about|regarding|on|in|for|as|given|provided|$",
    "there BE no INFO ... in|within|from DET* PRE* TEXT",
    "there BE not ADJ+ information|details|context",
    "there BE insufficient information|details",
    "no ADJ* information|details|mention AFTER* ... BE SAY|made|available|found|provided|given",
    // It is not stated.
    "... BE not ADV* mentioned|stated|specified|disclosed|discussed $",
    "... BE not ADV+ mentioned|stated|specified|disclosed|discussed|given|provided|answered|addressed|described|explained $",
    "... BE not ADV* SAY|given|provided|included in|by|within|anywhere DET* PRE* TEXT",
    "it BE not ADV* SAY how|what|when|where|whether|which|who|why|if",
    "it BE not|un ADV* clear|known|possible|evident ... from|in|within|on DET* PRE* TEXT",
    "not ADV* mentioned|stated|specified|disclosed|discussed $|in|by",
    "... can|could not be ADV* answered|determined|inferred|found|derived|known ... from|in|within|on|with|by DET* PRE* TEXT",
    // I can't find it.
    "i|we AUX not find|have|see|provide|locate DET* ADJ* INFO",
    "i|we|it can|could not answer DET* question",
    "i|we BE not able to answer|find|determine|provide",
];

/// Words that make what follows them a part of another clause.
const SUBORDINATE: [&str; 8] =
    ["if", "unless", "that", "which", "because", "until", "while", "whenever"];

/// Words that may open a clause before a refusal.
const OPENERS: [&str; 12] = [
    "but",
    "and",
    "so",
    "however",
    "although",
    "though",
    "unfortunately",
    "therefore",
    "sorry",
    "while",
    "yet",
    "overall",
];

/// How many words `...` stands for at the most.
const GAP: usize = 12;

/// Whether a sentence, or a clause of it, says that the passages don't answer.
pub(super) fn declines(text: &str) -> bool {
    let clauses = clauses(text);
    clauses.iter().enumerate().any(|(at, clause)| {
        let is_last = at + 1 == clauses.len();
        let opened = clause.iter().take_while(|word| OPENERS.contains(&word.as_str())).count();
        let clause = &clause[opened..];
        PATTERNS.iter().any(|pattern| {
            let parts: Vec<&str> = pattern.split(' ').collect();
            matches(&parts, clause, is_last)
        })
    })
}

/// The words of each clause in lower case, contractions taken apart (`don't` is `do not`, `unclear`
/// is `un clear`).
fn clauses(text: &str) -> Vec<Vec<String>> {
    let text = text.to_lowercase().replace('’', "'");
    let mut clauses = vec![Vec::new()];
    let mut word = String::new();
    let end_word = |word: &mut String, clauses: &mut Vec<Vec<String>>| {
        let whole = std::mem::take(word);
        let whole = whole.trim_matches('\'');
        let parts: Vec<&str> = match whole {
            "" => return,
            "can't" | "cannot" => vec!["can", "not"],
            "won't" => vec!["will", "not"],
            "unclear" => vec!["un", "clear"],
            "unknown" => vec!["un", "known"],
            "unable" => vec!["not", "able"],
            "isn't" | "aren't" | "wasn't" | "weren't" | "don't" | "doesn't" | "didn't"
            | "couldn't" | "wouldn't" | "hasn't" | "haven't" => {
                vec![whole.trim_end_matches("n't"), "not"]
            }
            whole => vec![whole],
        };
        if let Some(clause) = clauses.last_mut() {
            clause.extend(parts.into_iter().map(str::to_owned));
        }
    };
    for character in text.chars() {
        if character.is_alphanumeric() || character == '\'' {
            word.push(character);
            continue;
        }
        end_word(&mut word, &mut clauses);
        if matches!(character, ',' | ';' | ':' | '—' | '–' | '(' | ')') {
            clauses.push(Vec::new());
        }
    }
    end_word(&mut word, &mut clauses);
    clauses.retain(|clause| !clause.is_empty());
    clauses
}

fn matches(pattern: &[&str], words: &[String], is_last: bool) -> bool {
    let Some((part, rest)) = pattern.split_first() else { return true };
    if *part == "..." {
        for skipped in 0..=GAP.min(words.len()) {
            if skipped > 0 && SUBORDINATE.contains(&words[skipped - 1].as_str()) {
                return false;
            }
            if matches(rest, &words[skipped..], is_last) {
                return true;
            }
        }
        return false;
    }
    let (name, at_least, at_most) = match part.chars().last() {
        Some('*') => (&part[..part.len() - 1], 0, usize::MAX),
        Some('+') => (&part[..part.len() - 1], 1, usize::MAX),
        _ => (*part, 1, 1),
    };
    if words.is_empty() && is_last && name.split('|').any(|choice| choice == "$") {
        return matches(rest, words, is_last);
    }
    let most = words.iter().take_while(|word| is_of(word, name)).count().min(at_most);
    (at_least..=most).rev().any(|taken| matches(rest, &words[taken..], is_last))
}

fn is_of(word: &str, name: &str) -> bool {
    name.split('|').any(|choice| match CLASSES.iter().find(|(class, _)| *class == choice) {
        Some((_, members)) => members.contains(&word),
        None => choice == word,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let said = [
            "the passages do not mention a price.",
            "The passages don't mention a price.",
            "According to the passages, there is no mention of a subscription.",
            "There is no mention of a subscription.",
            "There is no direct mention of a price in the articles.",
            "The price of the tin is not explicitly stated.",
            "The price of the tin isn't specified.",
            "the provided passages do not contain any information about the price.",
            "The provided information does not specify how long it takes.",
            "The information provided doesn't include the price.",
            "The text does not provide specific details about the engine.",
            "The author does not say how long it took.",
            "The author doesn’t explicitly mention the cost.",
            "the article never mentions who built it.",
            "None of the passages mention the price.",
            "None of the provided passages answers the question.",
            "Neither passage says when it was built.",
            "Nothing in the passages says how much it cost.",
            "There is no specific information provided about the price.",
            "There is no information about the launch date.",
            "there are no details on how the rudder is hung.",
            "There is not enough information to answer the question.",
            "It is not stated how many coats were put on.",
            "It is not clear from the passages whether it floats.",
            "It is unclear from the provided text what it costs.",
            "No information is given about the engine.",
            "The salary of the author is not disclosed.",
            "The cost of the sails is not mentioned in the passages.",
            "The question cannot be answered from the passages.",
            "The launch date can't be determined from the given text.",
            "I cannot answer this question.",
            "I couldn't find any information about the sails.",
            "I am unable to answer.",
            "Unfortunately, the passages do not directly answer the question.",
            "The passages make no mention of a warranty.",
            "The passages contain no information on the mast.",
            "The passages say nothing about the mast.",
            "Each coat takes two days, but the passages do not say what it costs.",
            "Based on the passages, it is not possible to tell from the text who paid.",
            "Not mentioned.",
            "Not stated in the passages.",
            "When it was launched is not stated.",
            "The passages do not provide a price for the tin.",
            "The exact number of planks is not explicitly given.",
        ];
        let missed: Vec<&str> = said.into_iter().filter(|text| !declines(text)).collect();
        assert_eq!(missed, [""; 0]);
    }

    #[test]
    fn facts() {
        let said = [
            "There is no direct train from Oslo to the yard.",
            "In this context the API does not provide a cursor.",
            "In this context, the API does not return the text.",
            "Do not sand the first coat.",
            "The API does not provide pagination.",
            "It is not given to children under six.",
            "The context window does not include earlier messages.",
            "The text field does not contain HTML.",
            "There is no details page in the new layout.",
            "There is no direct way to cancel a booking.",
            "There is no clear winner.",
            "There is no answer key in the book.",
            "The token is not included in the URL.",
            "Retries are not specified in the client's configuration.",
            "Support is not provided at weekends.",
            "The client waits for ever if a timeout is not specified.",
            "Use the default for everything that is not stated.",
            "The contract does not mention overtime.",
            "The company did not disclose the breach for a year.",
            "The maintainer did not answer the letters.",
            "The author does not provide free support.",
            "The author did not have a garage.",
            "Authors do not have to state their salary.",
            "The server does not say who is logged in.",
            "It is not possible to tell the two woods apart.",
            "It is not clear whether caching helps below a thousand requests.",
            "I don't have a car, so the planks came by barge.",
            "No information is lost when the shard is moved.",
            "A seed makes the answer repeatable, but it is not random.",
            "The model does not directly address memory.",
            "The information desk does not provide maps.",
            "Nothing in the kit is provided twice.",
            "The glue is not waterproof.",
            "Passages of more than 400 tokens are not shown.",
            "Text that is not stated to be code is not highlighted.",
            "There is no information loss in this format.",
            "None of the planks has a knot.",
            "The article of clothing is not included in the price.",
            "Sources are not given in brackets.",
        ];
        let dropped: Vec<&str> = said.into_iter().filter(|text| declines(text)).collect();
        assert_eq!(dropped, [""; 0]);
    }

    #[test]
    fn every_word_in_capitals_is_a_class() {
        for pattern in PATTERNS {
            for part in pattern.split([' ', '|']) {
                let name = part.trim_end_matches(['*', '+']);
                if name.chars().any(char::is_uppercase) {
                    assert!(CLASSES.iter().any(|(class, _)| *class == name), "{name}");
                }
            }
        }
    }
}
