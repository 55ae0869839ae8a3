//! Zip archives: Substack's export (`posts.csv` and an HTML file for each post), and archives of
//! files that are read one by one. Pure: nothing is unpacked to a disk.

use std::io::{Cursor, Read};

use serde::Deserialize;
use zip::ZipArchive;

use super::subtitle::{line, subtitle};
use super::{Hint, Parsed, blank, date};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::text::collapse;
use crate::base::{Content, ParsedArticle, ParsedSource};

/// Entries of an archive.
const MAX_ENTRIES: usize = 50_000;
/// Bytes of one entry, unpacked.
const MAX_ENTRY: u64 = 64 << 20;
/// Bytes of all entries that are read, unpacked.
const MAX_ALL: u64 = 1 << 30;
/// Entries that are read as files by themselves.
const EXTENSIONS: [&str; 11] =
    ["atom", "htm", "html", "json", "markdown", "md", "opml", "rdf", "rss", "txt", "xml"];

/// Whether bytes are a zip archive.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// A row of `posts.csv`.
#[derive(Deserialize)]
struct Post {
    post_id: String,
    #[serde(default)]
    post_date: String,
    #[serde(default)]
    is_published: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    subtitle: String,
}

/// An archive that is open, with what has been taken from it.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    taken: u64,
}

/// Reads an archive.
///
/// # Errors
/// [`ErrorKind::Parse`] if it is damaged or holds nothing that can be read; [`ErrorKind::TooLarge`]
/// over a limit.
pub(super) fn parse(bytes: &[u8], hint: &Hint<'_>) -> Result<Parsed> {
    let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
        Error::new(ErrorKind::Parse, "it is a damaged zip archive")
            .caused_by(error)
            .hint("export or download it again")
    })?;
    if zip.len() > MAX_ENTRIES {
        return Err(too_large(format!("it is a zip archive of more than {MAX_ENTRIES} files")));
    }
    let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
    let mut archive = Archive { zip, taken: 0 };
    let list = names.iter().find(|name| name.rsplit('/').next() == Some("posts.csv"));
    let source = match list {
        Some(list) => substack(&mut archive, list)?,
        None => files(&mut archive, names, hint)?,
    };
    Ok(Parsed::Source(source))
}

fn too_large(what: String) -> Error {
    Error::new(ErrorKind::TooLarge, what).hint("unpack it and add the folder")
}

impl Archive<'_> {
    /// An entry's bytes; `None` if there is none of this name.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let entry = match self.zip.by_name(name) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(name, error)),
        };
        let mut bytes = Vec::new();
        entry.take(MAX_ENTRY + 1).read_to_end(&mut bytes).map_err(|error| damaged(name, error))?;
        let length = bytes.len() as u64;
        self.taken += length;
        if length > MAX_ENTRY || self.taken > MAX_ALL {
            return Err(too_large(format!(
                "it is too large unpacked: {name} takes it over {} MB",
                if length > MAX_ENTRY { MAX_ENTRY } else { MAX_ALL } >> 20
            )));
        }
        Ok(Some(bytes))
    }
}

fn damaged(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Parse, format!("its entry {name} can't be unpacked"))
        .caused_by(error)
        .hint("export or download the archive again")
}

fn substack(archive: &mut Archive<'_>, list: &str) -> Result<ParsedSource> {
    let folder = list.strip_suffix("posts.csv").unwrap_or_default();
    let bytes = archive.read(list)?.unwrap_or_default();
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(&*bytes);
    let mut source = ParsedSource::default();
    let (mut drafts, mut broken, mut missing) = (0usize, 0usize, Vec::new());
    for row in rows.deserialize::<Post>() {
        let Ok(post) = row else {
            broken += 1;
            continue;
        };
        if post.is_published.eq_ignore_ascii_case("false") {
            drafts += 1;
            continue;
        }
        match archive.read(&format!("{folder}posts/{}.html", post.post_id))? {
            Some(html) => source.articles.push(article(&post, &html)),
            None => missing.push(post.post_id),
        }
    }
    if source.articles.is_empty() {
        return Err(Error::new(
            ErrorKind::Parse,
            format!("its posts.csv names {} posts, and none has its HTML file", missing.len()),
        )
        .hint("give the whole export: posts.csv with the posts/ folder beside it"));
    }
    let mut warn = |count: usize, what: &str| {
        if count > 0 {
            source.warnings.push(format!("{count} {what}"));
        }
    };
    warn(drafts, "drafts are left out");
    warn(broken, "rows of posts.csv can't be read");
    let first = missing.first().cloned().unwrap_or_default();
    warn(missing.len(), &format!("posts have no HTML file ({first}, …) and are left out"));
    Ok(source)
}

fn article(post: &Post, html: &[u8]) -> ParsedArticle {
    let body = super::encoding::decode(html, Some("text/html; charset=utf-8")).text;
    let mut article = ParsedArticle {
        guid: Some(post.post_id.clone()).filter(|id| !id.is_empty()),
        title: collapse(&post.title),
        published: date::parse(&post.post_date),
        content: Content::Html(body),
        ..blank()
    };
    article.subtitle = subtitle([line(&post.subtitle)], &article);
    article
}

/// An archive of files, each read as it would be by itself.
fn files(
    archive: &mut Archive<'_>,
    mut names: Vec<String>,
    hint: &Hint<'_>,
) -> Result<ParsedSource> {
    names.sort();
    let mut source = ParsedSource::default();
    let mut failed = Vec::new();
    for name in names {
        let extension = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
        let is_hidden = name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        if is_hidden || !extension.is_some_and(|end| EXTENSIONS.contains(&end.as_str())) {
            continue;
        }
        let Some(bytes) = archive.read(&name)? else { continue };
        if is_zip(&bytes) {
            failed.push(format!("{name}: it is an archive within the archive"));
            continue;
        }
        let file = Hint { url: None, content_type: None, file_name: Some(&name) };
        match super::parse(&bytes, &file) {
            Ok(Parsed::Source(inner)) => {
                source.articles.extend(inner.articles);
                source.warnings.extend(inner.warnings);
            }
            Ok(Parsed::Page { mut article, .. }) => {
                article.guid = article.guid.or_else(|| Some(name.clone()));
                source.articles.push(*article);
            }
            Ok(Parsed::Outlines(_)) => {}
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    if source.articles.is_empty() {
        let name = hint.file_name.unwrap_or("the archive");
        return Err(Error::new(
            ErrorKind::Parse,
            format!("it is a zip archive without an article in it ({name})"),
        )
        .hint("give an export of Substack, or an archive of HTML, Markdown or feeds"));
    }
    for failure in failed {
        source.warnings.push(format!("left out: {failure}"));
    }
    Ok(source)
}
