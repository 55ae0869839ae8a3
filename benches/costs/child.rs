//! The program as a process of its own, and what the system says of it: time, memory, bytes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The binary and where it works.
pub struct Program {
    pub binary: PathBuf,
    pub folder: PathBuf,
    pub env: Vec<(String, String)>,
}

/// What a process took.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub stdout: String,
    pub wall_ms: f64,
    /// User and system time of all threads.
    pub cpu_ms: f64,
    /// Resident memory at the most, mapped files included; 0 if it was not watched.
    pub peak_mb: f64,
    /// Bytes that it asked to read, from the page cache or the disk; maps not counted.
    pub read_mb: f64,
    /// Bytes that it asked to write, pipes included.
    pub written_mb: f64,
    /// Pages of files that it made dirty, by writing or through maps.
    pub dirtied_mb: f64,
}

impl Program {
    fn command(&self, data: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        self.set_up(&mut command);
        command.args(args).arg("--data").arg(data);
        command
    }

    fn set_up(&self, command: &mut Command) {
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("WELLREAD_")) {
            if key != "WELLREAD_CACHE" {
                command.env_remove(key);
            }
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.current_dir(&self.folder).stdin(Stdio::null());
    }

    /// Runs a command that must succeed; its memory is not watched.
    pub fn run(&self, data: &Path, args: &[&str]) -> Ran {
        self.measured(data, args, None).unwrap_or_else(|said| panic!("{args:?}: {said}"))
    }

    /// The same, its memory looked at each few milliseconds.
    pub fn watched(&self, data: &Path, args: &[&str]) -> Ran {
        let every = Some(Duration::from_millis(5));
        self.measured(data, args, every).unwrap_or_else(|said| panic!("{args:?}: {said}"))
    }

    /// What it took, or what it said when it failed.
    pub fn measured(
        &self,
        data: &Path,
        args: &[&str],
        watch: Option<Duration>,
    ) -> Result<Ran, String> {
        let said = self.folder.join(format!("stderr-{}.txt", std::process::id()));
        let mut command = self.command(data, args);
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&said).unwrap());
        let start = Instant::now();
        let mut child = command.spawn().unwrap();
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        let (over, peak) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut stdout = child.stdout.take().unwrap();
        let mut ran = Ran::default();
        std::thread::scope(|scope| {
            if let Some(every) = watch {
                let (over, peak, process) = (&over, &peak, &process);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        peak.fetch_max(high_water(process), Ordering::Relaxed);
                        std::thread::sleep(every);
                    }
                });
            }
            stdout.read_to_string(&mut ran.stdout).unwrap();
            ran.wall_ms = start.elapsed().as_secs_f64() * 1e3;
            over.store(true, Ordering::Relaxed);
        });
        ran.peak_mb = peak.into_inner() as f64 / 1e3;
        ended(&process, &mut ran);
        finish(child, &said).map(|()| ran)
    }

    /// Bytes that a command reads of the library's files, by `strace`; `None` where there is none.
    pub fn library_read(&self, data: &Path, args: &[&str]) -> Option<u64> {
        let traces = tempfile::tempdir_in(&self.folder).unwrap();
        let mut command = Command::new("strace");
        self.set_up(&mut command);
        command
            .args(["-ff", "-y", "-s", "0", "-e", "trace=read,pread64,readv,preadv,preadv2", "-o"])
            .arg(traces.path().join("trace"))
            .arg(&self.binary)
            .args(args)
            .arg("--data")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().ok().filter(|status| status.success())?;
        let mut bytes = 0;
        for entry in std::fs::read_dir(traces.path()).unwrap().flatten() {
            let trace = std::fs::read_to_string(entry.path()).unwrap();
            bytes += trace
                .lines()
                .filter(|line| line.contains("library.sqlite"))
                .filter_map(|line| line.rsplit_once("= ")?.1.parse::<u64>().ok())
                .sum::<u64>();
        }
        Some(bytes)
    }
}

/// Kilobytes of resident memory at the most until now; 0 for a process that is over.
fn high_water(process: &Path) -> u64 {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Waits until a process is over but not yet waited for, and reads what it took.
fn ended(process: &Path, ran: &mut Ran) {
    let stat = loop {
        let stat = std::fs::read_to_string(process.join("stat")).unwrap();
        // The name in brackets may hold anything.
        let fields: Vec<String> =
            stat.rsplit_once(") ").unwrap().1.split_whitespace().map(str::to_owned).collect();
        if fields[0] == "Z" {
            break fields;
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    // Hundredths of a second (proc_pid_stat(5)).
    let ticks = |at: usize| stat[at].parse::<f64>().unwrap();
    ran.cpu_ms = (ticks(11) + ticks(12)) * 10.0;
    let io = std::fs::read_to_string(process.join("io")).unwrap();
    let field = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<f64>().unwrap() / 1e6
    };
    ran.read_mb = field("rchar:");
    ran.written_mb = field("wchar:");
    ran.dirtied_mb = field("write_bytes:") - field("cancelled_write_bytes:");
}

fn finish(mut child: Child, said: &Path) -> Result<(), String> {
    let status = child.wait().unwrap();
    if status.success() {
        return Ok(());
    }
    Err(format!("{status}: {}", std::fs::read_to_string(said).unwrap_or_default()))
}

/// The middle, the slowest twentieth and the least of each figure.
pub fn summary(runs: &[Ran]) -> Value {
    let of = |get: fn(&Ran) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(get).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let wall = of(|ran| ran.wall_ms);
    let middle = |get: fn(&Ran) -> f64| round(percentile(&of(get), 0.5));
    json!({
        "runs": runs.len(),
        "wall_ms": {
            "median": round(percentile(&wall, 0.5)), "p95": round(percentile(&wall, 0.95)),
            "least": round(wall[0]),
        },
        "cpu_ms": middle(|ran| ran.cpu_ms),
        "read_mb": middle(|ran| ran.read_mb),
        "written_mb": middle(|ran| ran.written_mb),
        "dirtied_mb": middle(|ran| ran.dirtied_mb),
        "peak_mb": round(of(|ran| ran.peak_mb).last().copied().unwrap_or(0.0)),
    })
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
