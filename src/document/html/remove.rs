//! Which elements are left out, and why. Pure.

use std::borrow::Cow;

use scraper::ElementRef;

use super::CleanOptions;

/// The reason for which an element with all that it holds is left out.
pub(super) fn reason(element: ElementRef<'_>, options: &CleanOptions) -> Option<&'static str> {
    let name = element.value().name();
    match name {
        "script" | "style" | "noscript" | "template" | "head" | "object" | "canvas" => {
            return Some("script");
        }
        "svg" => return Some("image"),
        _ => {}
    }
    if is_hidden(element) {
        return Some("hidden");
    }
    if !options.boilerplate {
        return None;
    }
    match name {
        "button" | "input" | "select" | "textarea" => return Some("button"),
        "form" => return Some("form"),
        "nav" => return Some("navigation"),
        "img" if is_tracker(element) => return Some("tracker"),
        _ => {}
    }
    // A class that says what an element is for, said of something small: a wrapper around the
    // whole article that happens to carry such a word stays.
    let reason = by_class(element)?;
    let holds_content = element
        .descendent_elements()
        .any(|inner| matches!(inner.value().name(), "h1" | "h2" | "h3" | "pre" | "table"));
    let length: usize = element.text().map(|text| text.trim().len()).sum();
    (!holds_content && length <= 600).then_some(reason)
}

/// A text without the style sheets in it that stand between comment marks, as some editors paste them,
/// and how each of those begins.
pub(super) fn without_style_sheets(text: &str) -> (Cow<'_, str>, Vec<String>) {
    /// What is shorter may be an example of a comment.
    const SHORTEST: usize = 200;
    let mut sheets = Vec::new();
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        let Some((inside, after)) = comment.split_once("-->") else { break };
        kept.push_str(before);
        if inside.len() >= SHORTEST && inside.contains('{') && inside.contains('}') {
            sheets.push(format!("{}…", &inside[..inside.floor_char_boundary(SHORTEST)]));
        } else {
            kept.push_str(&rest[before.len()..rest.len() - after.len()]);
        }
        rest = after;
    }
    if sheets.is_empty() {
        return (Cow::Borrowed(text), sheets);
    }
    kept.push_str(rest);
    (Cow::Owned(kept), sheets)
}

fn by_class(element: ElementRef<'_>) -> Option<&'static str> {
    let value = element.value();
    for name in value.classes().chain(value.id()) {
        let name = name.to_ascii_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let has = |word: &str| words.contains(&word);
        if has("subscribe")
            || has("subscription")
            || has("paywall")
            || (has("newsletter") && (has("signup") || has("form") || has("box") || has("cta")))
            || name.contains("mailchimp")
            || name.contains("kg-signup")
        {
            return Some("subscribe");
        }
        if name == "captioned-button-wrap" {
            return Some("share");
        }
        if has("share") && !has("shared")
            || name.starts_with("sharedaddy")
            || name.starts_with("addtoany")
            || name == "feedflare"
            || name == "social-links"
        {
            return Some("share");
        }
        if name == "button-wrapper"
            || name == "directmessage"
            || (has("button") && matches!(value.name(), "a" | "div" | "p" | "span"))
        {
            return Some("button");
        }
        if name == "image-link-expand"
            || name == "header-anchor-widget"
            || name == "anchor-copy"
            || name == "headerlink"
        {
            return Some("image");
        }
        if name.starts_with("jp-relatedposts") || (has("related") && has("posts")) {
            return Some("related");
        }
    }
    None
}

/// Whether a paragraph does nothing but ask readers to subscribe, share or comment: it is short and
/// says one of the set phrases of newsletters.
pub(super) fn is_call_to_action(text: &str) -> bool {
    const PHRASES: [&str; 9] = [
        "leave a comment",
        "subscribe now",
        "subscribe for free",
        "upgrade to paid",
        "share this post",
        "refer a friend",
        "thanks for reading",
        "forward this email",
        "hit the like button",
    ];
    if text.split_whitespace().count() > 30 {
        return false;
    }
    let text = text.to_lowercase();
    PHRASES.iter().any(|phrase| text.contains(phrase))
}

/// An image of at most 2 × 2 pixels.
fn is_tracker(element: ElementRef<'_>) -> bool {
    let side = |name| element.attr(name).and_then(|v| v.trim_end_matches("px").parse::<u32>().ok());
    matches!((side("width"), side("height")), (Some(w), Some(h)) if w <= 2 && h <= 2)
}

fn is_hidden(element: ElementRef<'_>) -> bool {
    let value = element.value();
    if value.attr("hidden").is_some_and(|state| !state.eq_ignore_ascii_case("until-found")) {
        return true;
    }
    if value.attr("aria-hidden").is_some_and(|state| state.eq_ignore_ascii_case("true")) {
        return true;
    }
    let Some(style) = value.attr("style") else { return false };
    let style: String = style.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    let mut color = None;
    let mut background = None;
    let (mut flat, mut clipped) = (false, false);
    for declaration in style.split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        let value = value.trim_end_matches("!important");
        let number = || {
            let end = value.find(|c: char| !matches!(c, '0'..='9' | '.' | '-'));
            value[..end.unwrap_or(value.len())].parse::<f64>().ok()
        };
        match property {
            "display" if value == "none" => return true,
            "visibility" if matches!(value, "hidden" | "collapse") => return true,
            "opacity" if number().is_some_and(|n| n <= 0.05) => return true,
            "font-size"
                if number().is_some_and(|n| n <= 1.0) && !value.ends_with("em")
                    || property == "font-size" && number() == Some(0.0) =>
            {
                return true;
            }
            "left" | "top" | "text-indent" | "margin-left" | "margin-top"
                if number().is_some_and(|n| n <= -900.0) =>
            {
                return true;
            }
            "height" | "width" | "max-height" | "max-width" if number() == Some(0.0) => flat = true,
            "overflow" if value == "hidden" => clipped = true,
            "clip" if value.starts_with("rect(0") => return true,
            "color" => color = Some(color_of(value)),
            "background" | "background-color" => background = Some(color_of(value)),
            _ => {}
        }
    }
    if flat && clipped {
        return true;
    }
    match (color, background) {
        (Some(color), Some(background)) => color == background,
        // Pages are white where nothing else is said.
        (Some(color), None) => matches!(color.as_str(), "#ffffff" | "transparent"),
        _ => false,
    }
}

/// A colour in one form: `#rrggbb` where that is easy to tell.
fn color_of(value: &str) -> String {
    let hex = match value {
        "white" | "rgb(255,255,255)" | "rgba(255,255,255,1)" | "#fffffe" | "#fefefe" => "#ffffff",
        "black" | "rgb(0,0,0)" => "#000000",
        "rgba(0,0,0,0)" | "rgba(255,255,255,0)" => "transparent",
        other => other,
    };
    match hex.strip_prefix('#') {
        Some(short) if short.len() == 3 => {
            let mut long = String::from("#");
            long.extend(short.chars().flat_map(|digit| [digit, digit]));
            long
        }
        _ => hex.to_owned(),
    }
}
