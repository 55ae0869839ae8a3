//! What makes two items the same article. Pure: no library, no clock, no network.
//!
//! An item carries up to four marks, strongest first: its GUID, its place (the file that it is, for
//! items of local files), its URL, its content. The library looks articles up by any of them; the
//! article's id is made from the strongest that means the same on every machine, so a place never
//! makes an id.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use url::Url;

use crate::base::{ArticleId, Content, SourceId, hex};
pub use crate::source::Item;

/// Query parameters that say where a reader came from, not what they read.
const TRACKING: &[&str] = &[
    "_hsenc",
    "_hsmi",
    "cmpid",
    "dclid",
    "fbclid",
    "gbraid",
    "gclid",
    "gclsrc",
    "igsh",
    "igshid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "ref",
    "ref_src",
    "ref_url",
    "s_cid",
    "ttclid",
    "twclid",
    "vero_id",
    "wbraid",
    "yclid",
];

fn is_tracking(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("utm_")
        || TRACKING.binary_search(&name.as_str()).is_ok()
        || (name == "source" && value.starts_with("rss"))
}

/// The link that is kept and shown: host in lower case, default port, tracking parameters, user
/// and fragment dropped. `None` if `url` is not an absolute http or https URL.
pub fn canonical_url(url: &str) -> Option<String> {
    canonical(url, false).map(String::from)
}

fn canonical(url: &str, keep_fragment: bool) -> Option<Url> {
    let mut url = Url::parse(url.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return None;
    }
    // A fragment after `#!` or `#/` is the page itself in some applications.
    let is_page = url.fragment().is_some_and(|f| f.starts_with('!') || f.starts_with('/'));
    if !keep_fragment && !is_page {
        url.set_fragment(None);
    }
    if url.fragment() == Some("") {
        url.set_fragment(None);
    }
    // These fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if let Some(query) = url.query() {
        // Pairs are filtered as they stand, so that the others keep their exact encoding.
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                !pair.is_empty() && !is_tracking(name, value)
            })
            .collect();
        let kept = kept.join("&");
        url.set_query((!kept.is_empty()).then_some(kept.as_str()));
    }
    Some(url)
}

/// What two URLs of one page have in common: the canonical URL without scheme and trailing slash.
/// `None` as for [`canonical_url`].
pub fn url_key(url: &str) -> Option<String> {
    canonical(url, false).map(|url| bare(&url))
}

fn bare(url: &Url) -> String {
    let mut key = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        key.push_str(&format!(":{port}"));
    }
    key.push_str(url.path().trim_end_matches('/'));
    if let Some(query) = url.query() {
        key.push('?');
        key.push_str(query);
    }
    if let Some(fragment) = url.fragment() {
        key.push('#');
        key.push_str(fragment);
    }
    key
}

/// Whether a GUID means the same article in every source: a URL, a URN, a tag URI or a UUID.
/// Others (`1234`, `post-17`) count only within their own feed.
pub fn is_global_guid(guid: &str) -> bool {
    let lower = guid.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("urn:").or_else(|| lower.strip_prefix("tag:")) {
        return rest.contains([':', ',']);
    }
    if lower.starts_with("http://") || lower.starts_with("https://") {
        // `http://host/` says no more than the feed itself.
        return Url::parse(guid).is_ok_and(|url| url.path() != "/" || url.query().is_some());
    }
    uuid::Uuid::parse_str(&lower).is_ok()
}

/// SHA-256 of what makes a revision: title, format and body.
pub fn content_hash(title: &str, content: &Content) -> String {
    let format = match content {
        Content::Html(_) => "html",
        Content::Markdown(_) => "markdown",
        Content::Text(_) => "text",
    };
    digest(&[title, format, content.raw()])
}

/// SHA-256 over parts, each closed by its length, in hexadecimal digits.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

/// By what an item is looked up, strongest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The GUID, unless it stands on items with different links: then it says nothing.
    pub own_guid: Option<String>,
    /// By GUID: as global mark, or within the feed's site and within the source. Empty where the
    /// GUID stands on different texts, too.
    pub guid: Vec<String>,
    /// By file.
    pub place: Option<String>,
    /// By URL.
    pub url: Option<String>,
    /// By content; looked up only where none of the others is known.
    pub content: String,
}

impl Marks {
    /// The id of an article that is seen for the first time with these marks.
    pub fn mint(&self) -> ArticleId {
        let strongest = self.guid.first().or(self.url.as_ref()).unwrap_or(&self.content);
        ArticleId(digest(&["article", strongest])[..16].to_owned())
    }

    /// All marks under which the article is to be found from now on. The content counts only for
    /// items without GUID and URL.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        let content = (self.guid.is_empty() && self.url.is_none()).then_some(&self.content);
        self.guid.iter().chain(&self.place).chain(&self.url).chain(content)
    }
}

/// The marks of each item of a source, in order.
///
/// A GUID that stands on items with different URLs, or a URL that stands on items with different
/// GUIDs (or on several without), marks none of them: such feeds give every item the same GUID or
/// the address of the site. Where URLs differ only after `#`, the fragment counts. Nor does a GUID
/// mark items that differ in their texts.
///
/// `site` is the address that the feed gives for itself; GUIDs that are not global count within it,
/// and so are the same wherever the feed is read from.
pub fn marks(items: &[Item], source: &SourceId, site: Option<&str>) -> Vec<Marks> {
    let scope = site.and_then(url_key).unwrap_or_else(|| source.0.clone());
    let guid_of = |item: &Item| item.article.guid.clone().filter(|guid| !guid.is_empty());

    let hashes: Vec<String> =
        items.iter().map(|item| content_hash(&item.article.title, &item.article.content)).collect();
    let mut urls_of_guid: HashMap<String, HashSet<Option<String>>> = HashMap::new();
    let mut texts_of_guid: HashMap<String, HashSet<&str>> = HashMap::new();
    for (item, hash) in items.iter().zip(&hashes) {
        if let Some(guid) = guid_of(item) {
            let url = item.article.url.as_deref().and_then(url_key);
            urls_of_guid.entry(guid.clone()).or_default().insert(url);
            texts_of_guid.entry(guid).or_default().insert(hash);
        }
    }
    let own_guids: Vec<Option<String>> = items
        .iter()
        .map(|item| guid_of(item).filter(|guid| urls_of_guid[guid].len() < 2))
        .collect();
    let guids: Vec<Option<String>> = own_guids
        .iter()
        .map(|guid| guid.clone().filter(|guid| texts_of_guid[guid].len() < 2))
        .collect();

    let by_url = |keep_fragment: bool| {
        let keys: Vec<Option<String>> = items
            .iter()
            .map(|item| {
                let url = item.article.url.as_deref()?;
                canonical(url, keep_fragment).map(|url| bare(&url))
            })
            .collect();
        let mut holders: HashMap<&str, (HashSet<&str>, HashSet<&str>)> = HashMap::new();
        for ((key, guid), hash) in keys.iter().zip(&guids).zip(&hashes) {
            let Some(key) = key else { continue };
            let holder = holders.entry(key).or_default();
            match guid {
                Some(guid) => {
                    holder.0.insert(guid);
                }
                None => {
                    holder.1.insert(hash);
                }
            }
        }
        keys.iter()
            .map(|key| {
                let key = key.as_deref()?;
                let (guids, contents) = &holders[key];
                (guids.len() + contents.len() < 2).then(|| key.to_owned())
            })
            .collect::<Vec<Option<String>>>()
    };
    let (plain, with_fragment) = (by_url(false), by_url(true));

    items
        .iter()
        .zip(&hashes)
        .zip(own_guids.into_iter().zip(&guids))
        .zip(plain.into_iter().zip(with_fragment))
        .map(|(((item, hash), (own_guid, guid)), (plain, with_fragment))| Marks {
            own_guid,
            guid: match guid {
                None => Vec::new(),
                Some(guid) if is_global_guid(guid) => vec![format!("guid {guid}")],
                Some(guid) => {
                    let mut marks = vec![format!("guid {guid} in {scope}")];
                    if scope != source.0 {
                        marks.push(format!("guid {guid} in {source}"));
                    }
                    marks
                }
            },
            place: item.place.as_ref().map(|place| format!("file {place} in {source}")),
            url: plain.or(with_fragment).map(|key| format!("url {key}")),
            content: format!("content {hash}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::ParsedArticle;

    fn item(guid: Option<&str>, url: Option<&str>, body: &str) -> Item {
        Item {
            article: ParsedArticle {
                guid: guid.map(str::to_owned),
                url: url.map(str::to_owned),
                title: "T".into(),
                subtitle: None,
                authors: vec![],
                published: None,
                updated: None,
                tags: vec![],
                content: Content::Html(body.into()),
                extent: crate::base::Extent::Full,
            },
            place: None,
        }
    }

    fn source(name: &str) -> SourceId {
        SourceId(name.into())
    }

    #[test]
    fn tracking_list_is_sorted_for_the_binary_search() {
        assert!(TRACKING.is_sorted());
    }

    #[test]
    fn canonical_urls() {
        let cases = [
            ("https://Example.com:443/a?utm_source=x&b=1#top", "https://example.com/a?b=1"),
            ("http://example.com/a/?fbclid=1", "http://example.com/a/"),
            ("https://me:secret@example.com/?gclid=1&ref=hn", "https://example.com/"),
            ("https://example.com/#!/post/1", "https://example.com/#!/post/1"),
            ("https://example.com/a?q=a%20b+c&UTM_Medium=m", "https://example.com/a?q=a%20b+c"),
            ("https://m.example/p?source=rss-1&source=x", "https://m.example/p?source=x"),
        ];
        for (given, wanted) in cases {
            assert_eq!(canonical_url(given).as_deref(), Some(wanted), "{given}");
        }
        for other in ["", "mailto:a@b", "/relative", "file:///etc/passwd", "https://"] {
            assert_eq!(canonical_url(other), None, "{other}");
        }
        assert_eq!(url_key("http://example.com/a/"), url_key("https://EXAMPLE.com/a?ref=1#x"));
        assert_ne!(url_key("https://example.com/a"), url_key("https://example.com/b"));
        assert_ne!(url_key("https://example.com/?p=1"), url_key("https://example.com/?p=2"));
    }

    #[test]
    fn global_guids() {
        for guid in [
            "https://example.com/p/1",
            "http://example.com/?p=123",
            "urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a",
            "tag:example.com,2024:1",
            "1225c695-cfb8-4ebb-aaaa-80da344efa6a",
        ] {
            assert!(is_global_guid(guid), "{guid}");
        }
        for guid in ["17", "post-17", "https://example.com/", "urn:", "tag:x", "http://"] {
            assert!(!is_global_guid(guid), "{guid}");
        }
    }

    #[test]
    fn local_guids_count_within_the_site_wherever_the_feed_lies() {
        let items = [item(Some("17"), None, "a")];
        let here = &marks(&items, &source("/a/feed.xml"), Some("https://x.org/"))[0];
        let there = &marks(&items, &source("/b/feed.xml"), Some("http://x.org"))[0];
        let other = &marks(&items, &source("/a/feed.xml"), Some("https://y.org/"))[0];
        assert_eq!(here.mint(), there.mint());
        assert_ne!(here.mint(), other.mint());
    }

    #[test]
    fn marks_shared_by_different_items_mark_none() {
        let same_guid = [
            item(Some("1"), Some("https://x.org/a"), "a"),
            item(Some("1"), Some("https://x.org/b"), "b"),
        ];
        let found = marks(&same_guid, &source("s"), None);
        assert!(found.iter().all(|marks| marks.guid.is_empty() && marks.url.is_some()));

        let same_both = [
            item(Some("1"), Some("https://x.org/a"), "a"),
            item(Some("1"), Some("https://x.org/a"), "b"),
            item(Some("2"), None, "c"),
            item(Some("2"), None, "c"),
        ];
        let found = marks(&same_both, &source("s"), None);
        assert!(found[..2].iter().all(|marks| marks.guid.is_empty() && marks.url.is_none()));
        assert_ne!(found[0].mint(), found[1].mint());
        assert_eq!(found[0].own_guid.as_deref(), Some("1"));
        assert_eq!(found[2].guid, ["guid 2 in s"]);

        let same_url = [
            item(Some("1"), Some("https://x.org/"), "a"),
            item(Some("2"), Some("https://x.org/"), "b"),
        ];
        let found = marks(&same_url, &source("s"), None);
        assert!(found.iter().all(|marks| !marks.guid.is_empty() && marks.url.is_none()));

        let fragments = [
            item(None, Some("https://x.org/log#v1"), "a"),
            item(None, Some("https://x.org/log#v2"), "b"),
        ];
        let found = marks(&fragments, &source("s"), None);
        assert_eq!(found[0].url.as_deref(), Some("url x.org/log#v1"));
        assert_ne!(found[0].mint(), found[1].mint());

        let nothing_but_site =
            [item(None, Some("https://x.org/"), "a"), item(None, Some("https://x.org/"), "b")];
        let found = marks(&nothing_but_site, &source("s"), None);
        assert!(found.iter().all(|marks| marks.url.is_none()));
        assert_ne!(found[0].mint(), found[1].mint());
    }

    #[test]
    fn a_place_never_makes_an_id() {
        let mut a = item(None, None, "same");
        a.place = Some("a.md".into());
        let mut b = item(None, None, "same");
        b.place = Some("b.md".into());
        let found = marks(&[a, b], &source("/x"), None);
        assert_eq!(found[0].mint(), found[1].mint());
        assert_ne!(found[0].place, found[1].place);
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent_and_never_panics(text in "\\PC{0,60}") {
            if let Some(once) = canonical_url(&text) {
                prop_assert_eq!(canonical_url(&once), Some(once.clone()));
            }
        }

        #[test]
        fn tracking_fragment_host_case_and_port_do_not_matter(
            host in "[a-z]{1,8}\\.[a-z]{2,3}",
            path in "(/[a-zA-Z0-9_-]{1,6}){0,3}/?",
            query in proptest::collection::vec(("q[a-z]{0,4}", "[a-z0-9]{0,5}"), 0..3),
            utm in "utm_[a-z]{1,8}",
            fragment in "[a-z][a-z0-9]{0,5}",
        ) {
            let query: Vec<String> = query.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let query = query.join("&");
            let plain = format!("https://{host}{path}?{query}");
            let dressed =
                format!("http://{}:80{path}?{utm}=x&{query}&gclid=1#{fragment}", host.to_uppercase());
            prop_assert_eq!(url_key(&plain), url_key(&dressed));
        }

        #[test]
        fn the_same_item_has_the_same_id_whatever_stands_beside_it(
            guids in proptest::collection::hash_set("[a-z0-9]{1,6}", 1..8),
        ) {
            let items: Vec<Item> = guids
                .iter()
                .map(|guid| item(Some(guid), Some(&format!("https://x.org/{guid}")), guid))
                .collect();
            let all = marks(&items, &source("s"), None);
            let ids: HashSet<_> = all.iter().map(Marks::mint).collect();
            prop_assert_eq!(ids.len(), items.len());
            for (item, together) in items.iter().zip(&all) {
                let alone = &marks(std::slice::from_ref(item), &source("s"), None)[0];
                prop_assert_eq!(alone.mint(), together.mint());
            }
        }
    }
}
