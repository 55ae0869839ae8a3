//!

use super::State;

/// Its routes.
pub fn router(_: &State) -> axum::Router {
    axum::Router::new()
}
