//! What the tests share: the real binary in a clean environment, the real models, loopback servers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The folder of the real models: `WELLREAD_CACHE`, else the platform's; filled on first use.
pub fn models_cache() -> PathBuf {
    wellread::models::default_cache().expect("a cache folder")
}

/// A file beside this project's folder that only its makers have, if it is there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let full = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(path);
    if full.exists() {
        return Some(full);
    }
    passed_over(&format!("{} is not here", full.display()));
    None
}

/// Says why a test is passed over; where `WELLREAD_TEST_REQUIRE_SHARED` is set, as in CI, it fails.
#[track_caller]
pub fn passed_over(why: &str) {
    assert!(std::env::var_os("WELLREAD_TEST_REQUIRE_SHARED").is_none(), "{why}");
    eprintln!("passed over: {why}");
}

/// Installs what a folder's `package.json` names; whether it is there then.
pub fn installed_by_npm(folder: &Path) -> bool {
    let npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"])
        .arg("--ignore-scripts")
        .current_dir(folder)
        .output();
    let installed = npm.is_ok_and(|ran| ran.status.success());
    if !installed {
        passed_over("npm does not install what package.json names");
    }
    installed
}

/// A file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sample feed.
pub fn sample_feed() -> String {
    project("eval/sample/feed.xml").display().to_string()
}

/// The binary with a data folder of its own and nothing of the caller's settings.
pub struct Wellread {
    pub dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// How a run ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Wellread {
    pub fn new() -> Wellread {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("data").display().to_string();
        let env = vec![
            ("WELLREAD_DATA".to_owned(), data),
            ("WELLREAD_CACHE".to_owned(), models_cache().display().to_string()),
            ("HOME".to_owned(), dir.path().display().to_string()),
        ];
        Wellread { dir, env }
    }

    /// The small LLM answers.
    pub fn small() -> Wellread {
        Wellread::new().env("WELLREAD_MODELS_GENERATOR", "smollm2-135m-instruct")
    }

    pub fn env(mut self, key: &str, value: &str) -> Wellread {
        self.env.retain(|(name, _)| name != key);
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, key: &str) -> Wellread {
        self.env.retain(|(name, _)| name != key);
        self
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wellread"));
        command.env_clear().current_dir(self.dir.path()).args(args).stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR", "PIP_CONFIG_FILE", "PIP_CERT"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().expect("the binary runs"))
    }

    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.spawn(args, Stdio::piped());
        let _ = child.stdin.take().expect("stdin").write_all(input);
        ran(child.wait_with_output().expect("the binary ends"))
    }

    pub fn spawn(&self, args: &[&str], stdin: Stdio) -> Child {
        self.command(args)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs")
    }

    /// Runs and expects an exit code and one error whose message holds `said`, a next step, and no
    /// panic; gives back stderr.
    #[track_caller]
    pub fn fails(&self, args: &[&str], said: &str) -> String {
        let ran = self.run(args);
        ran.is_clear_error(said);
        ran.stderr
    }

    /// Runs, expects success, and gives back stdout.
    #[track_caller]
    pub fn succeeds(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = vec!["--json"];
        all.extend(args);
        serde_json::from_str(&self.succeeds(&all)).expect("JSON")
    }
}

impl Ran {
    /// Exit code 2, one `error:` line that holds `said`, a `try:` line, no panic.
    #[track_caller]
    pub fn is_clear_error(&self, said: &str) {
        let Ran { code, stdout, stderr } = self;
        assert_eq!(*code, Some(2), "stdout: {stdout}\nstderr: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
        assert!(stderr.contains(said), "expected {said:?} in: {stderr}");
        assert!(stderr.contains("try:"), "no way out in: {stderr}");
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs where no file may grow over some kilobytes: what a full disk does to a process, without
/// filling one.
pub fn run_with_small_files(wellread: &Wellread, kilobytes: usize, args: &[&str]) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
    let template = wellread.command(&[]);
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_wellread")]).args(args).env_clear();
    command.envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))));
    ran(command.current_dir(wellread.dir.path()).output().expect("bash runs"))
}

/// Waits until a child has written `mark` to its stderr; what it wrote. The child must end or say
/// it within a minute.
pub fn wait_for(child: &mut Child, mark: &str) -> String {
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let mut seen = Vec::new();
    let mut buffer = [0; 256];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        match stderr.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
        if String::from_utf8_lossy(&seen).contains(mark) {
            // What is still to come must not block the child.
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
            return String::from_utf8_lossy(&seen).into_owned();
        }
    }
    panic!("{mark:?} was not said in: {}", String::from_utf8_lossy(&seen));
}

/// Sends a signal by name to a child.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());
}

/// Panics unless a document is as a schema of `src/schema` says.
#[track_caller]
pub fn is_valid(schema: &str, document: &serde_json::Value) {
    let mut schemas = boon::Schemas::new();
    let path = project(&format!("src/api/schema/{schema}.json")).display().to_string();
    let index = boon::Compiler::new().compile(&path, &mut schemas).expect("a schema");
    if let Err(error) = schemas.validate(document, index) {
        panic!("{error:#}\n{document:#}");
    }
}

/// A feed of one item around `body`.
pub fn feed(items: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" \
         xmlns:content=\"http://purl.org/rss/1.0/modules/content/\"><channel>\
         <title>Test feed</title><link>https://example.org/</link>{items}</channel></rss>"
    )
}

/// One item of a feed.
pub fn item(n: usize, title: &str, html: &str) -> String {
    format!(
        "<item><guid>https://example.org/p/{n}</guid><link>https://example.org/p/{n}</link>\
         <title>{title}</title><pubDate>Tue, 0{} Apr 2025 10:00:00 GMT</pubDate>\
         <content:encoded><![CDATA[{html}]]></content:encoded></item>",
        n % 9 + 1
    )
}

/// A loopback HTTP server that answers each request by a function of its path; its address.
pub fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    serve_requests(move |request| answer(request.split(' ').nth(1).unwrap_or("/")))
}

/// As [`serve`], by a function of the whole request.
pub fn serve_requests(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let _ = respond(stream, &*answer);
            });
        }
    });
    format!("http://{address}")
}

fn respond(mut stream: TcpStream, answer: &dyn Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&buffer[..n]),
        }
    }
    stream.write_all(&answer(&String::from_utf8_lossy(&request)))
}

/// An HTTP answer.
pub fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}
