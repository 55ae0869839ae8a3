//! The one way to a client for http and https.

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
