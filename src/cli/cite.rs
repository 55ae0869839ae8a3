//! `cite`.

use super::Outcome;
use super::app::App;
use super::args::Cite;
use crate::base::error::{Error, ErrorKind, Result};

pub(super) fn run(_app: &App<'_>, _args: &Cite) -> Result<Outcome> {
    Err(Error::new(ErrorKind::Bug, "cite is not built yet"))
}
