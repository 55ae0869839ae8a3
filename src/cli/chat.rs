//! `chat`.

use super::Outcome;
use super::app::App;
use super::args::Chat;
use crate::base::error::{Error, ErrorKind, Result};

pub(super) fn run(_app: &App<'_>, _args: &Chat) -> Result<Outcome> {
    Err(Error::new(ErrorKind::Bug, "chat is not built yet"))
}
