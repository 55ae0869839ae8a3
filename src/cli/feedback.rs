//! `feedback`.

use super::Outcome;
use super::app::App;
use super::args::Feedback;
use crate::base::error::{Error, ErrorKind, Result};

pub(super) fn run(_app: &App<'_>, _args: &Feedback) -> Result<Outcome> {
    Err(Error::new(ErrorKind::Bug, "feedback is not built yet"))
}
