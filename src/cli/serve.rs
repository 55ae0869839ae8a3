//! `serve`.

use super::Outcome;
use super::app::App;
use super::args::Serve;
use crate::base::error::{Error, ErrorKind, Result};

pub(super) fn run(_app: &App<'_>, _args: &Serve) -> Result<Outcome> {
    Err(Error::new(ErrorKind::Bug, "serve is not built yet"))
}
