//! Articles of any number, always the same: sections are drawn from a pool of 5,000 texts, each
//! under a title of its own, so that any corpus is embedded once and for all.

use std::fmt::Write;

use fastrand::Rng;

/// Titles; an article has one of them, and sections of that title's pool.
const TITLES: usize = 100;
/// Sections in a title's pool.
const POOL: usize = 50;
/// Sections of an article, a chunk each.
pub const SECTIONS: usize = 33;
/// Bytes of an article's HTML.
const ARTICLE: usize = 60_000;
/// Articles in a feed that brings new ones.
const WINDOW: usize = 20;
/// Names that occur, by Zipf's law.
const NAMES: f64 = 20_000.0;

const NOUNS: [&str; 48] = [
    "harbour",
    "ledger",
    "lantern",
    "orchard",
    "bridge",
    "engine",
    "kettle",
    "garden",
    "letter",
    "market",
    "mill",
    "window",
    "river",
    "ferry",
    "archive",
    "workshop",
    "barrel",
    "anchor",
    "compass",
    "signal",
    "tunnel",
    "quarry",
    "violin",
    "weaver",
    "printer",
    "baker",
    "surveyor",
    "reservoir",
    "turbine",
    "valve",
    "pump",
    "hinge",
    "meadow",
    "festival",
    "library",
    "recipe",
    "bicycle",
    "station",
    "platform",
    "furnace",
    "glacier",
    "notebook",
    "teacher",
    "captain",
    "council",
    "museum",
    "cellar",
    "antenna",
];
const VERBS: [&str; 28] = [
    "repaired",
    "measured",
    "painted",
    "moved",
    "described",
    "opened",
    "closed",
    "replaced",
    "counted",
    "visited",
    "borrowed",
    "rebuilt",
    "tested",
    "recorded",
    "doubled",
    "lowered",
    "raised",
    "cleaned",
    "sold",
    "designed",
    "ordered",
    "sorted",
    "tuned",
    "mapped",
    "flooded",
    "warmed",
    "emptied",
    "labelled",
];
const ADJECTIVES: [&str; 28] = [
    "old", "quiet", "narrow", "green", "northern", "spare", "heavy", "broken", "public", "wooden",
    "early", "costly", "steady", "hidden", "rusty", "shallow", "famous", "second", "empty", "warm",
    "crooked", "patient", "bright", "southern", "modest", "careful", "salty", "distant",
];
const SYLLABLES: [&str; 24] = [
    "ba", "dor", "fen", "gil", "ha", "jo", "kel", "lun", "mar", "nis", "or", "pel", "qua", "ros",
    "sil", "tam", "ul", "ver", "wen", "yar", "zet", "bri", "cla", "dun",
];

fn pick<'a>(random: &mut Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(..of.len())]
}

/// A name that nobody has; the common ones come often.
fn name(random: &mut Rng) -> String {
    let mut rank = NAMES.powf(random.f64()) as usize;
    let mut name = String::new();
    for _ in 0..3 {
        name.push_str(SYLLABLES[rank % SYLLABLES.len()]);
        rank /= SYLLABLES.len();
    }
    name[..1].to_uppercase() + &name[1..]
}

fn sentence(random: &mut Rng) -> String {
    let (who, where_) = (name(random), name(random));
    let (a, b) = (pick(random, &NOUNS), pick(random, &NOUNS));
    let (first, second) = (pick(random, &VERBS), pick(random, &VERBS));
    let (like, such) = (pick(random, &ADJECTIVES), pick(random, &ADJECTIVES));
    let count = random.u32(2..900);
    match random.u8(..4) {
        0 => format!("{who} {first} the {like} {a} of {where_} and {second} a {such} {b}."),
        1 => format!("In {where_} the {a} was {first} {count} times before {who} {second} it."),
        2 => format!("The {like} {a} cost {count} crowns, so {who} {first} the {b} instead."),
        _ => format!("After {count} days {who} {second} every {such} {b} near the {a}."),
    }
}

/// The title with this number.
fn title(number: usize) -> String {
    let mut random = Rng::with_seed(number as u64);
    let (like, thing) = (pick(&mut random, &ADJECTIVES), pick(&mut random, &NOUNS));
    format!("Letters on a {like} {thing}, volume {}", number + 1)
}

/// Heading and two paragraphs.
fn section(title: usize, number: usize) -> (String, [String; 2]) {
    let mut random = Rng::with_seed((title * POOL + number) as u64 + 1_000_003);
    let heading = format!(
        "The {} {} at {}",
        pick(&mut random, &ADJECTIVES),
        pick(&mut random, &NOUNS),
        name(&mut random)
    );
    let mut paragraph = || (0..4).map(|_| sentence(&mut random)).collect::<Vec<_>>().join(" ");
    (heading, [paragraph(), paragraph()])
}

/// A sentence of the corpus, to be asked for.
pub fn question(number: usize) -> String {
    let (heading, [first, _]) = section(number % TITLES, number % POOL);
    let words: Vec<&str> = first.split_whitespace().take(7).collect();
    format!("{heading}: {}?", words.join(" "))
}

/// The HTML of `count` sections of an article's title; `size` bytes, the rest of it markup.
fn body(article: usize, count: usize, size: usize) -> String {
    let (title, round) = (article % TITLES, article / TITLES);
    let mut html = String::with_capacity(size + 1_000);
    for at in 0..count {
        let (heading, [first, second]) = section(title, (round * SECTIONS + at) % POOL);
        let start = html.len();
        let _ = write!(
            html,
            "<h2 class=\"header-with-anchor\" id=\"part-{at}\">{heading}</h2>\n\
             <p class=\"body-text\" style=\"margin: 0\">{first}</p>\n\
             <p class=\"body-text\" style=\"margin: 0\">{second}</p>\n\
             <figure class=\"picture\"><img src=\"https://img.example/{article}/{at}.jpg\" srcset=\""
        );
        // What stands around a text in a newsletter: addresses of a picture in many widths.
        let mut width = 100;
        while html.len() - start + 24 < size / count {
            let missing = size / count - (html.len() - start) - 24;
            let address = format!("https://img.example/{article}/{at}-w{width}.jpg {width}w, ");
            html.push_str(&address[..address.len().min(missing)]);
            width += 1;
        }
        html.push_str("\"></figure>\n");
    }
    html
}

fn item(feed: &mut String, article: usize, html: &str) {
    // Four articles a day, so that the last is the newest.
    let published = jiff::Timestamp::from_second(1_420_070_400 + article as i64 * 21_600)
        .unwrap()
        .strftime("%a, %d %b %Y %H:%M:%S +0000");
    let _ = writeln!(
        feed,
        "<item><guid isPermaLink=\"false\">costs-{article}</guid>\
         <link>https://letters.example/{article}</link><title>{}</title>\
         <pubDate>{published}</pubDate><category>letters</category>\
         <content:encoded><![CDATA[{html}]]></content:encoded></item>",
        title(article % TITLES)
    );
}

fn feed(items: impl FnOnce(&mut String)) -> String {
    let mut feed = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <rss version=\"2.0\" xmlns:content=\"http://purl.org/rss/1.0/modules/content/\">\
         <channel><title>Letters</title><link>https://letters.example/</link>\n",
    );
    items(&mut feed);
    feed.push_str("</channel></rss>\n");
    feed
}

/// A feed of these articles, of 60 kB each, which all end with the same line.
pub fn letters(articles: std::ops::Range<usize>) -> String {
    feed(|feed| {
        for article in articles.rev() {
            let mut html = body(article, SECTIONS, ARTICLE);
            html.push_str("<p>Thanks for reading these letters; pass them on to a friend.</p>");
            item(feed, article, &html);
        }
    })
}

/// The feed as it is when `newest` has just come.
pub fn window(newest: usize) -> String {
    letters((newest + 1).saturating_sub(WINDOW)..newest + 1)
}

/// A feed of one article with this many sections and bytes.
pub fn large(article: usize, sections: usize, bytes: usize) -> String {
    feed(|feed| item(feed, article, &body(article, sections, bytes)))
}

/// A feed of summaries whose pages are at `site`.
pub fn summaries(site: &str, count: usize) -> String {
    let mut random = Rng::with_seed(count as u64);
    feed(|feed| {
        for number in 0..count {
            let _ = writeln!(
                feed,
                "<item><guid>{site}/{number}</guid><link>{site}/{number}</link>\
                 <title>{} {number}</title><description>{} …</description></item>",
                name(&mut random),
                sentence(&mut random)
            );
        }
    })
}

/// A feed of one short article.
pub fn short(number: usize) -> String {
    let mut random = Rng::with_seed(number as u64 + 77);
    feed(|feed| {
        let html = format!("<p>{}</p><p>{}</p>", sentence(&mut random), sentence(&mut random));
        item(feed, 1_000_000 + number, &html);
    })
}
