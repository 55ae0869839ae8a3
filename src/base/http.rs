//! http and https: which links are of them, and the one way to a client.

/// Whether a link leads to the web as it stands: a whole address of http or https.
pub(crate) fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_named = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    is_named && url::Url::parse(url).is_ok()
}

/// A builder of clients, with TLS by `ring`.
///
/// The cryptography is chosen once for the whole process, unless the program that holds this
/// library chose before; `reqwest` panics where nobody did.
pub(crate) fn client() -> reqwest::ClientBuilder {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was quicker, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    #[allow(clippy::disallowed_methods)]
    reqwest::Client::builder()
}
