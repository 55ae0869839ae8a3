//! Bytes → text: byte order mark, the server's charset, the document's own, then detection. Pure.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Text, and what was mended.
pub(super) struct Decoded {
    pub text: String,
    pub warning: Option<String>,
}

/// What bytes are that are no text.
pub(super) fn binary(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 9] = [
        (b"\x7fELF", "it is a program"),
        (b"MZ\x90", "it is a program"),
        (b"%PDF", "it is a PDF"),
        (b"\x89PNG", "it is an image"),
        (b"\xff\xd8\xff", "it is an image"),
        (b"GIF8", "it is an image"),
        (b"PK\x03\x04", "it is a zip archive"),
        (b"\x1f\x8b", "it is compressed by gzip"),
        (b"SQLite format 3", "it is a database"),
    ];
    if let Some((_, what)) = known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(what);
    }
    if utf16(bytes).is_some() {
        return None;
    }
    let head = &bytes[..bytes.len().min(8192)];
    let controls =
        head.iter().filter(|byte| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31)).count();
    let has_nul = head.contains(&0);
    (has_nul || controls * 20 > head.len()).then_some("it is a binary file")
}

/// UTF-16 by its mark, or by the `<` that markup begins with.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0xfe, 0xff, ..] | [0, b'<', 0, ..] => Some(UTF_16BE),
        [0xff, 0xfe, ..] | [b'<', 0, _, 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

/// The text of bytes.
pub(super) fn decode(bytes: &[u8], content_type: Option<&str>) -> Decoded {
    let mut decoded = decode_as_said(bytes, content_type);
    let is_control = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if decoded.text.contains(is_control) {
        // These controls are never meant: they are windows-1252 that was taken for Latin-1.
        let mended = decoded.text.chars().map(|c| match u8::try_from(c) {
            Ok(byte) if is_control(c) => WINDOWS_1252.decode(&[byte]).0.chars().next().unwrap_or(c),
            _ => c,
        });
        decoded.text = mended.collect();
    }
    decoded
}

fn decode_as_said(bytes: &[u8], content_type: Option<&str>) -> Decoded {
    if let Some(encoding) = utf16(bytes) {
        return with(bytes, encoding, false);
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        return with(bytes, UTF_8, false);
    }
    // Bytes that are UTF-8 are UTF-8, whatever they are said to be, if they hold more than ASCII.
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.is_ascii()
    {
        return Decoded { text: text.to_owned(), warning: None };
    }
    let of_server = content_type
        .and_then(|kind| {
            kind.to_ascii_lowercase().split_once("charset=").map(|(_, c)| c.to_owned())
        })
        .and_then(|name| label(&name));
    let declared = of_server.or_else(|| declared(bytes));
    // A document that was read far enough to say UTF-16 in ASCII is not in UTF-16.
    match declared.filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE) {
        Some(encoding) if encoding != UTF_8 => with(bytes, encoding, false),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Decoded { text: text.to_owned(), warning: None },
            Err(_) => {
                let mut detector =
                    chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
                detector.feed(&bytes[..bytes.len().min(1 << 20)], true);
                let guessed = detector.guess(None, chardetng::Utf8Detection::Allow);
                // A broken letter or two in what is UTF-8 otherwise.
                let lossy = String::from_utf8_lossy(bytes);
                let broken = lossy.matches('\u{fffd}').count();
                let foreign = lossy.chars().filter(|c| !c.is_ascii()).count();
                if broken * 10 < foreign || guessed == UTF_8 {
                    return with(bytes, UTF_8, true);
                }
                with(bytes, guessed, true)
            }
        },
    }
}

fn with(bytes: &[u8], encoding: &'static Encoding, guessed: bool) -> Decoded {
    let (text, used, broken) = encoding.decode(bytes);
    let warning = match (broken, guessed) {
        (true, _) => Some(format!("some characters are not {} and were replaced", used.name())),
        (false, true) => Some(format!("its encoding was guessed to be {}", used.name())),
        (false, false) => None,
    };
    Decoded { text: text.into_owned(), warning }
}

fn label(name: &str) -> Option<&'static Encoding> {
    let name = name.trim_start_matches(['"', '\'', ' ']);
    let end = name.find(['"', '\'', ' ', ';', '?', '>', '/']).unwrap_or(name.len());
    match &name[..end] {
        // What is called ASCII has other letters where it has any.
        "us-ascii" | "ascii" => Some(WINDOWS_1252),
        name => Encoding::for_label(name.as_bytes()),
    }
}

/// The encoding that an XML declaration or a `<meta>` names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
    if let Some(start) = head.find("<?xml") {
        let end = head[start..].find("?>").map_or(head.len(), |end| start + end);
        if let Some((_, name)) = head[start..end].split_once("encoding=") {
            return label(name);
        }
    }
    let (_, name) = head.split_once("charset=")?;
    label(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_by_mark_server_declaration_and_detection() {
        let utf16: Vec<u8> = "<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&utf16, None).text, "<a>é</a>");
        assert_eq!(decode(b"caf\xe9", Some("text/xml; charset=iso-8859-1")).text, "café");
        assert_eq!(
            decode(b"<?xml version='1.0' encoding='windows-1251'?>\xcf", None).text.chars().last(),
            Some('П')
        );
        assert_eq!(decode("é".as_bytes(), Some("text/xml; charset=iso-8859-1")).text, "é");
        let guessed = decode(b"Gr\xfc\xdfe aus M\xfcnchen und K\xf6ln, sch\xf6nes Wetter", None);
        assert_eq!(guessed.text, "Grüße aus München und Köln, schönes Wetter");
        assert!(guessed.warning.is_some());
    }

    #[test]
    fn what_is_no_text_is_said_to_be() {
        assert_eq!(binary(b"%PDF-1.7"), Some("it is a PDF"));
        assert_eq!(binary(&[1, 2, 3, 0, 5]), Some("it is a binary file"));
        assert_eq!(binary(b"plain\ttext\r\n"), None);
    }
}
