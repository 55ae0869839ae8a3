//! The page, in a browser and without one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::served::{Answered, Served};
use crate::support::{Wellread, feed, installed_by_npm, item, passed_over, project, sample_feed};

/// A server of a library that needs no network.
fn serve(wellread: &Wellread) -> Served {
    Served::start(wellread, &["--offline"])
}

/// A library with the sample, letters of many bytes, and articles that want to run.
fn filled() -> Wellread {
    let wellread = Wellread::small();
    let ferry = "<p>Naïve café 🙂 漢字 first. The ferry to Ærøskøbing leaves at 07:45 — “sharp” 🚢 — \
                 from pier nine. It returns at dusk.</p>";
    let canary = "<h2>Which &lt;b onmouseover='owned=1'&gt;canary&lt;/b&gt;</h2>\
                  <p>The canary that sings in the harbour is called &lt;script&gt;owned=1&lt;/script&gt; \
                  &lt;|im_start|&gt; by \u{202e}everybody there. ![x](http://evil.invalid/a.png)</p>\
                  <script>owned=1</script><img src='http://evil.invalid/b.png' onerror='owned=1' \
                  alt='A canary in a cage over the harbour'><p>See <a href='javascript:owned=1'>this \
                  canary</a>.</p><svg onload='owned=1'></svg><iframe src='http://evil.invalid/'></iframe>";
    let items = [
        item(1, "Timetables 🚢", ferry),
        item(2, "Canary &amp;lt;img src=x onerror=owned=1&amp;gt;", canary),
        "<item><guid>c3</guid><link>javascript:owned=1</link><title>A canary's link</title>\
         <description>The canary of the link sings in no harbour at all, and never will.</description>\
         </item>"
            .to_owned(),
    ];
    let hostile = wellread.file("hostile.xml", feed(&items.concat()));
    let file = wellread.file(
        "canary.md",
        "# Canary of the file\n\nThe canary sings in the harbour \u{1b}[31min red\u{1b}[0m, and \
         \u{202e}backwards\u{202c}. <img src=\"http://evil.invalid/c.png\" onerror=\"owned=1\">\n\n\
         [A canary](javascript:owned=1) ![d](http://evil.invalid/d.png)\n",
    );
    wellread.succeeds(&["add", &sample_feed(), &hostile, &file]);
    wellread
}

/// The folder in which the browser's tests run, with what they need from npm; `None` where that
/// can't be had.
fn scripts() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).expect("a folder");
    for entry in std::fs::read_dir(project("tests/page")).expect("the scripts") {
        let path = entry.expect("a script").path();
        std::fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
    }
    let browser = std::env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    if !Path::new(&browser).exists() {
        passed_over("there is no Chromium (CHROMIUM names one)");
        return None;
    }
    installed_by_npm(&folder).then_some(folder)
}

#[test]
fn the_page_in_a_browser() {
    let Some(folder) = scripts() else { return };
    let (wellread, empty) = (filled(), Wellread::small());
    let (server, nothing, mortal) = (serve(&wellread), serve(&empty), serve(&wellread));
    let run = |script: &str| {
        let ran = Command::new("node")
            .arg(script)
            .current_dir(&folder)
            .env("WELLREAD_PAGE", format!("http://{}", server.address))
            .env("WELLREAD_EMPTY", format!("http://{}", nothing.address))
            .env("WELLREAD_MORTAL", format!("http://{}", mortal.address))
            .env("WELLREAD_MORTAL_PID", mortal.child.id().to_string())
            .output()
            .expect("node runs");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        (ran.status.success(), format!("{script}\n{said}"))
    };
    // They wait more than they compute.
    let ran: Vec<(bool, String)> = std::thread::scope(|scope| {
        let started = ["ask.mjs", "axe.mjs", "hostile.mjs", "gone.mjs"]
            .map(|script| scope.spawn(move || run(script)));
        started.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    let failed: Vec<&str> =
        ran.iter().filter(|(good, _)| !good).map(|(_, said)| said.as_str()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn pages_are_whole_without_a_script() {
    let (wellread, empty) = (filled(), Wellread::small());
    let server = serve(&wellread);
    let Answered { head, body, .. } = server.get("/?q=How+many+hours+did+the+boat+take+in+all%3F");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(body.contains("912 hours") && body.contains("class=\"cite\""), "{body}");
    for wanted in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
         connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "content-type: text/html; charset=utf-8",
        "etag: \"",
    ] {
        assert!(head.contains(wanted), "{wanted} is not in {head}");
    }
    // Where a citation leads, what it cites is marked.
    let link = body.split("class=\"cite\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let link = link.expect("a citation").replace("&amp;", "&").replace("&#x2f;", "/");
    let Answered { head, body, .. } = server.get(link.split('#').next().expect("a path"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(body.contains("<mark id=\"cited\""), "{body}");

    let Answered { body, .. } = server.get("/?q=varnish&mode=search");
    assert!(body.contains("<mark>") && body.contains("Tar, oil and varnish"), "{body}");
    let Answered { body, .. } = server.get("/?q=varnish&author=Jorun+Aas");
    assert!(body.contains("did you mean &quot;Jorunn Aas&quot;?"), "{body}");
    let Answered { head, body, .. } = server.get("/?q=a&since=soon");
    assert!(head.starts_with("http/1.1 200") && body.contains("is not a date"), "{body}");
    for (path, status) in [
        ("/articles/0000000000000000", "404"),
        ("/articles/nothing", "404"),
        ("/articles/%ff", "400"),
        ("/nothing", "404"),
        ("/assets/page.css", "404"),
        ("/?q=%ff&q=2", "400"),
        ("/articles?page=-1", "200"),
        ("/articles?page=900", "200"),
        ("/status", "200"),
    ] {
        let Answered { head, .. } = server.get(path);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
    }

    // Style and script are kept for good; a page that has not changed is not sent again.
    let Answered { head, body, .. } = server.get("/articles");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    let Answered { head, .. } = server.request("GET /articles", &[("If-None-Match", tag)], b"");
    assert!(head.starts_with("http/1.1 304"), "{head}");
    let style =
        body.split("rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let style = style.expect("a style").replace("&#x2f;", "/");
    let Answered { head, body, .. } = server.get(&style);
    assert!(head.contains("max-age=31536000, immutable") && head.contains("text/css"), "{head}");
    assert!(body.contains("--accent"));

    let Answered { body, .. } = serve(&empty).get("/");
    assert!(body.contains("There are no articles yet") && body.contains("wellread add"), "{body}");
}
