//! The templates, and what they can do with values.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, escape_formatter};
use serde::Serialize;

use super::assets;
use crate::api::{ErrorDetail, json};
use crate::base::http::is_web;

const TEMPLATES: [(&str, &str); 7] = [
    ("base.html", include_str!("templates/base.html")),
    ("filters.html", include_str!("templates/filters.html")),
    ("ask.html", include_str!("templates/ask.html")),
    ("articles.html", include_str!("templates/articles.html")),
    ("article.html", include_str!("templates/article.html")),
    ("status.html", include_str!("templates/status.html")),
    ("error.html", include_str!("templates/error.html")),
];

static ENVIRONMENT: LazyLock<Result<Environment<'static>, minijinja::Error>> =
    LazyLock::new(|| {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Whatever text it is, a browser obeys no character of it.
        environment.set_formatter(|out, state, value| match value.as_str() {
            Some(text) if !value.is_safe() => {
                escape_formatter(out, state, &Value::from(json::shown(text)))
            }
            _ => escape_formatter(out, state, value),
        });
        environment.add_filter("day", day);
        environment.add_filter("minute", minute);
        environment.add_filter("grouped", grouped);
        environment.add_filter("query", query);
        let [style, script, icon] = assets::paths();
        environment.add_global("style", style);
        environment.add_global("script", script);
        environment.add_global("icon", icon);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text)?;
        }
        Ok(environment)
    });

fn instant(text: &str) -> Option<jiff::ZonedDateTime> {
    text.parse::<Timestamp>().ok().map(|at| at.to_zoned_datetime(TimeZone::UTC))
}

/// `6 Jul 2025`.
fn day(text: &str) -> String {
    instant(text).map_or(String::new(), |at| at.strftime("%-d %b %Y").to_string())
}

/// `6 Jul 2025, 08:30 UTC`.
fn minute(text: &str) -> String {
    instant(text).map_or(String::new(), |at| at.strftime("%-d %b %Y, %H:%M UTC").to_string())
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A value in the query of a link.
fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A link that a page may carry: one to the web. Anything else that an article names as its link is
/// shown at most.
pub(super) fn web_link(url: Option<&str>) -> Option<&str> {
    url.filter(|url| is_web(url))
}

/// What a template can look into.
pub(super) fn value(of: impl Serialize) -> Value {
    Value::from(Serde(of))
}

/// A page from a template.
pub(super) fn page(headers: &HeaderMap, name: &str, values: Value) -> Response {
    reply(headers, StatusCode::OK, name, values)
}

/// A page that says what is wrong.
pub(super) fn error(headers: &HeaderMap, status: StatusCode, error: &ErrorDetail) -> Response {
    reply(
        headers,
        status,
        "error.html",
        context! { here => "", status => status.as_u16(), error => value(error) },
    )
}

fn reply(headers: &HeaderMap, status: StatusCode, name: &str, values: Value) -> Response {
    let written = match &*ENVIRONMENT {
        Ok(environment) => {
            environment.get_template(name).and_then(|template| template.render(values))
        }
        Err(error) => {
            let what = (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
            return what.into_response();
        }
    };
    let html = match written {
        Ok(html) => html,
        Err(error) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
    };
    let tag = format!("\"{}\"", assets::hash(html.as_bytes()));
    let kept = [(CACHE_CONTROL, "private, no-cache".to_owned()), (ETAG, tag.clone())];
    if status == StatusCode::OK && assets::has(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (status, kept, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_the_web_are_links() {
        for url in ["https://example.org/a?b=c", "HTTP://example.org"] {
            assert_eq!(web_link(Some(url)), Some(url));
        }
        for url in
            ["javascript:alert(1)", "data:text/html,x", " https://a", "//a", "file:///a", "http://"]
        {
            assert_eq!(web_link(Some(url)), None, "{url}");
        }
        assert_eq!(web_link(None), None);
    }

    #[test]
    fn numbers_and_days() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(day("2025-07-06T08:30:00Z"), "6 Jul 2025");
        assert_eq!(minute("2025-07-06T08:30:00Z"), "6 Jul 2025, 08:30 UTC");
        assert_eq!(day("soon"), "");
    }

    #[test]
    fn what_is_put_into_a_page_is_text() {
        let headers = HeaderMap::new();
        let detail = ErrorDetail {
            kind: crate::base::error::ErrorKind::NotFound,
            message: "<script>\u{202e}\u{1b}[31m\"'".into(),
            steps: vec!["<img src=x onerror=y>".into()],
        };
        let response = error(&headers, StatusCode::NOT_FOUND, &detail);
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body = futures_util::FutureExt::now_or_never(axum::body::to_bytes(
            response.into_body(),
            1 << 20,
        ));
        let html = String::from_utf8(body.unwrap().unwrap().to_vec()).unwrap();
        assert!(html.contains("&lt;script&gt;\\u{202e}\\u{1b}[31m&quot;&#x27;"), "{html}");
        assert!(!html.contains("<script>") && !html.contains("<img"));
    }
}
