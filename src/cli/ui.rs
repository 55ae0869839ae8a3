//! What the user sees: results on stdout, everything else on stderr, article text escaped.
//!
//! The only module that writes to the standard streams.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::api::json;
use crate::base::error::{Error, Result};
use crate::base::{Event, Unit};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, and when `NO_COLOR` is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors and what a command is for.
    Quiet,
    /// Warnings, and status and progress on a terminal.
    Normal,
    /// Status everywhere.
    Verbose,
}

/// The two streams and what may be drawn on them.
pub struct Ui {
    verbosity: Verbosity,
    /// How results are written.
    pub pen: Pen,
    color_err: bool,
    err_is_terminal: bool,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

/// How text is written for a reader: in colours or not, made safe for a terminal or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pen {
    /// In colours.
    pub color: bool,
    /// With control and direction characters of articles shown, not obeyed.
    pub escape: bool,
}

impl Pen {
    /// wellread's own `text` in a style.
    pub fn paint(self, style: Style, text: &str) -> String {
        paint(self.color, style, text)
    }

    /// Text from articles.
    pub fn safe(self, text: &str) -> String {
        if self.escape { json::shown(text) } else { text.to_owned() }
    }
}

/// Styles of the output.
pub mod styles {
    use super::{AnsiColor, Style};

    /// Titles.
    pub const TITLE: Style = Style::new().bold();
    /// Citation numbers and scores.
    pub const NUMBER: Style = AnsiColor::Cyan.on_default();
    /// Links, dates and other asides.
    pub const ASIDE: Style = Style::new().dimmed();
    /// Words that were looked for.
    pub const MATCH: Style = AnsiColor::Yellow.on_default();
    /// Good.
    pub const GOOD: Style = AnsiColor::Green.on_default();
    /// Needs attention.
    pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
    /// Failed.
    pub const ERROR: Style = AnsiColor::Red.on_default().bold();
}

impl Ui {
    /// A user interface over the process's own streams.
    pub fn new(verbosity: Verbosity, color: ColorChoice) -> Ui {
        let out_is_terminal = std::io::stdout().is_terminal();
        let err_is_terminal = std::io::stderr().is_terminal();
        let wanted = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Ui {
            verbosity,
            pen: Pen { color: wanted(out_is_terminal), escape: out_is_terminal },
            color_err: wanted(err_is_terminal),
            err_is_terminal,
            bars: Mutex::default(),
        }
    }

    /// Writes a result to stdout and flushes it, so that a reader sees it at once.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::BrokenPipe`] if the reader has gone; an I/O error if the write
    /// fails otherwise.
    pub fn result(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Error::io("cannot write to standard output", error))
    }

    /// Writes a value to stdout as one JSON document and a newline; what a terminal obeys is escaped.
    ///
    /// # Errors
    /// As [`Ui::result`].
    pub fn json(&self, value: &impl serde::Serialize) -> Result<()> {
        self.result(&(json::pretty(value)? + "\n"))
    }

    /// Writes a value to stdout as JSON on one line; what a terminal obeys is escaped.
    ///
    /// # Errors
    /// As [`Ui::result`].
    pub fn json_line(&self, value: &impl serde::Serialize) -> Result<()> {
        self.result(&(json::line(value)? + "\n"))
    }

    /// Shows an event: progress and status on a terminal, warnings always (but with `--quiet`).
    pub fn event(&self, event: Event) {
        match event {
            Event::Progress { task, done, total, unit } => self.progress(&task, done, total, unit),
            Event::Done { task } => {
                if let Some(bar) = self.bars().remove(&task) {
                    bar.finish_and_clear();
                }
            }
            Event::Status(text) => self.status(&text),
            Event::Warning(warning) => self.warning(&super::warnings::said(&warning)),
        }
    }

    /// One line of status on stderr: on a terminal, or everywhere with `-v`.
    pub fn status(&self, text: &str) {
        let shown = self.verbosity >= Verbosity::Verbose
            || self.verbosity == Verbosity::Normal && self.err_is_terminal;
        if shown {
            self.error_line(&paint(self.color_err, styles::ASIDE, &self.safe_err(text)));
        }
    }

    /// One line on stderr for those who want to know more (`-v`).
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.status(text);
        }
    }

    /// One line on stderr that a command is for: what a server says of itself, what JSON rests on.
    pub fn announce(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.error_line(&self.safe_err(text));
        }
    }

    /// One warning on stderr.
    pub fn warning(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            let label = paint(self.color_err, styles::WARNING, "warning:");
            self.error_line(&format!("{label} {}", self.safe_err(text)));
        }
    }

    /// An error with its causes and the next step, on stderr.
    pub fn error(&self, error: &Error) {
        let label = paint(self.color_err, styles::ERROR, "error:");
        self.error_line(&format!("{label} {}", self.safe_err(&error.chain())));
        if let Some(steps) = super::steps::said(error.steps()) {
            let label = paint(self.color_err, styles::GOOD, "try:");
            self.error_line(&format!("  {label} {}", self.safe_err(&steps)));
        }
    }

    /// Takes all progress off the screen.
    pub fn clear(&self) {
        for (_, bar) in self.bars().drain() {
            bar.finish_and_clear();
        }
    }

    fn bars(&self) -> std::sync::MutexGuard<'_, HashMap<String, ProgressBar>> {
        self.bars.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn safe_err(&self, text: &str) -> String {
        if self.err_is_terminal { json::shown(text) } else { text.to_owned() }
    }

    /// Writes a line to stderr above the bars. A stderr that can't be written to is no reason to
    /// fail: there is nowhere left to say so.
    fn error_line(&self, line: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        };
        match self.bars().values().next() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn progress(&self, task: &str, done: u64, total: u64, unit: Unit) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        let mut bars = self.bars();
        let bar = bars.entry(task.to_owned()).or_insert_with(|| {
            if !self.err_is_terminal && self.verbosity >= Verbosity::Normal {
                let size = match unit {
                    Unit::Bytes if total > 0 => format!(" ({} MB)", total.div_ceil(1_000_000)),
                    Unit::Items if total > 0 => format!(" ({total})"),
                    Unit::Bytes | Unit::Items => String::new(),
                };
                let _ = writeln!(std::io::stderr().lock(), "{task}{size}");
            }
            let target = if self.err_is_terminal {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            };
            let bar = ProgressBar::with_draw_target(None, target);
            let template = match unit {
                Unit::Bytes => {
                    "{msg} [{bar:24}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"
                }
                Unit::Items => "{msg} [{bar:24}] {pos}/{len} {per_sec} {eta}",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(json::shown(task));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        if total > 0 {
            bar.set_length(total);
        }
        bar.set_position(done);
    }
}

fn paint(color: bool, style: Style, text: &str) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
