//! How JSON is written to a reader: as any other, but with no character in it that a terminal
//! obeys.
//!
//! What is written is equal when it is parsed; JSON lets each character be written as an escape.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use crate::base::error::{Error, ErrorKind, Result};

/// Whether a character is obeyed rather than shown: control characters, and the invisible ones that
/// change the direction of writing or hide text (Unicode Bidi_Control, zero-width and tag
/// characters, line and paragraph separators).
pub fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}'
                | '\u{200B}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

/// Text with no character in it that is obeyed rather than shown, but line breaks and tabs: each
/// stands as `\\u{202e}` does.
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) && !matches!(character, '\n' | '\t') {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A value over several lines, without a newline at the end.
///
/// # Errors
/// [`ErrorKind::Bug`] if the value can't be written as JSON.
pub fn pretty(value: &impl Serialize) -> Result<String> {
    written(value, PrettyFormatter::new())
}

/// A value on one line, without a newline at the end.
///
/// # Errors
/// As [`pretty`].
pub fn line(value: &impl Serialize) -> Result<String> {
    written(value, CompactFormatter)
}

fn written(value: &impl Serialize, formatter: impl Formatter) -> Result<String> {
    let bug = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Bug, "cannot write the result as JSON").caused_by(error)
    };
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Escaping(formatter));
    value.serialize(&mut serializer).map_err(|error| bug(error.into()))?;
    String::from_utf8(bytes).map_err(|error| bug(error.into()))
}

/// Another formatter that writes characters which a terminal obeys as escapes.
struct Escaping<F>(F);

/// Hands methods on to the formatter inside.
macro_rules! same {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $kind)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    same! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_obeyed) {
            self.0.write_string_fragment(writer, &rest[..at])?;
            let length = rest[at..].chars().next().map_or(1, char::len_utf8);
            let mut units = [0; 2];
            for character in rest[at..at + length].chars() {
                for unit in character.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = &rest[at + length..];
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        let written =
            line(&"a\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{2066}\u{200f}\u{2028}\u{e0041}é漢🙂\n")
                .unwrap();
        assert_eq!(
            written,
            "\"a\\u001b[31m\\u007f\\u009b\\u202e\\u2066\\u200f\\u2028\\udb40\\udc41é漢🙂\\n\""
        );
        let key = serde_json::json!({ "\u{202e}": [1, { "b": null }] });
        assert_eq!(line(&key).unwrap(), "{\"\\u202e\":[1,{\"b\":null}]}");
        assert_eq!(
            pretty(&key).unwrap(),
            "{\n  \"\\u202e\": [\n    1,\n    {\n      \"b\": null\n    }\n  ]\n}"
        );
    }

    #[test]
    fn control_and_direction_characters_are_shown_not_obeyed() {
        assert_eq!(shown("a\x1b[31mred\u{202e}x\r\n\tb"), "a\\u{1b}[31mred\\u{202e}x\\u{d}\n\tb");
        assert_eq!(shown("naïve 漢字 🙂"), "naïve 漢字 🙂");
    }

    proptest! {
        #[test]
        fn it_is_equal_when_parsed(text in any::<String>(), key in "[\\PC\u{0}-\u{2f}\u{200b}-\u{206f}]{0,9}", n in any::<i64>()) {
            let value = serde_json::json!({ key: [text, n] });
            for written in [line(&value).unwrap(), pretty(&value).unwrap()] {
                prop_assert!(!written.chars().any(|c| c != '\n' && is_obeyed(c)), "{written:?}");
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value.clone());
            }
        }
    }
}
