//! `mcp`.

use super::Outcome;
use super::app::App;
use super::args::Mcp;
use crate::base::error::{Error, ErrorKind, Result};

pub(super) fn run(_app: &App<'_>, _args: &Mcp) -> Result<Outcome> {
    Err(Error::new(ErrorKind::Bug, "mcp is not built yet"))
}
