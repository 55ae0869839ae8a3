//! The server store: a collection of a Qdrant server or cluster, over gRPC.
//!
//! Async stays in here: each call runs on a runtime of its own thread and returns when the server
//! has answered.

mod points;

use std::time::Duration;

use qdrant_client::qdrant::CreateAliasBuilder;
use qdrant_client::{Qdrant, QdrantError};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::base::error::{Error, ErrorKind, Result, Step};

pub use points::ServerStore;

/// What a collection says of who made it.
const OWNER: &str = "wellread.owner";

/// How a server is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerOptions {
    /// Name of the alias that readers ask; the collections behind it are called after it.
    pub alias: String,
    /// Milliseconds until a call is given up.
    pub timeout_ms: u64,
    /// How often a call is tried again that failed for a reason that may pass.
    pub retries: u32,
    /// The API key; it is never written anywhere. A file that is named is read instead.
    #[serde(skip)]
    pub api_key: ApiKey,
    /// A file that holds the API key.
    pub api_key_file: String,
    /// Send the API key to another machine without encryption, if the address is plain http.
    pub allow_plain_http: bool,
    /// Shards of a new collection.
    pub shards: u32,
    /// Copies of each shard.
    pub replicas: u32,
    /// Copies of a shard that must have a write before it counts.
    pub write_consistency: u32,
    /// Read payloads from the disk when they are asked for, and keep none in memory.
    pub on_disk_payload: bool,
    /// Keep vectors as bytes in memory (scalar quantisation) and rescore with the whole ones.
    pub quantization: bool,
    /// Links of a node of the HNSW graph; 0: the server's own default.
    pub hnsw_m: u64,
    /// Neighbours looked at while the graph is built; 0: the server's own default.
    pub hnsw_ef_construct: u64,
    /// Neighbours looked at by a search; 0: the server's own default.
    pub hnsw_ef: u64,
    /// Compare with every vector and use no graph.
    pub exact: bool,
    /// Points of one write at the most.
    pub batch: usize,
    /// Bytes of one write at the most, about.
    pub batch_bytes: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            alias: "wellread".into(),
            timeout_ms: 30_000,
            retries: 3,
            api_key: ApiKey::default(),
            api_key_file: String::new(),
            allow_plain_http: false,
            shards: 1,
            replicas: 1,
            write_consistency: 1,
            on_disk_payload: true,
            quantization: false,
            hnsw_m: 0,
            hnsw_ef_construct: 0,
            hnsw_ef: 0,
            exact: false,
            batch: 128,
            batch_bytes: 8 << 20,
        }
    }
}

/// A key that is not shown where what holds it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiKey(pub String);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "(hidden)" })
    }
}

/// A connection to a server.
pub struct Server {
    client: Qdrant,
    runtime: Runtime,
    url: String,
    options: ServerOptions,
}

impl Server {
    /// A connection; the server is first spoken to by the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the URL is wrong, or the API key would go to another machine without
    /// encryption; if the API key's file can't be read.
    pub fn connect(url: &str, options: &ServerOptions) -> Result<Server> {
        let wrong = |error: QdrantError| {
            Error::new(ErrorKind::Config, format!("store.url {url} can't be used"))
                .caused_by(error.to_string())
                .hint("give the server's gRPC address, as in http://localhost:6334")
        };
        let key = if options.api_key_file.is_empty() {
            options.api_key.0.clone()
        } else {
            fs_err::read_to_string(&options.api_key_file).map_err(|error| {
                Error::io("cannot read the Qdrant server's API key", error)
                    .hint("check store.server.api_key_file")
            })?
        };
        let key = key.trim();
        if !key.is_empty() && !options.allow_plain_http && is_plain_and_remote(url) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the API key would go to {url} without encryption"),
            )
            .hint(
                "use an https address; in a network that nobody else can listen to, set \
                 store.server.allow_plain_http=true",
            ));
        }
        let mut config = Qdrant::from_url(url)
            .timeout(Duration::from_millis(options.timeout_ms))
            .connect_timeout(Duration::from_secs(5).min(Duration::from_millis(options.timeout_ms)))
            .skip_compatibility_check();
        if !key.is_empty() {
            config = config.api_key(key);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::io("cannot start the Qdrant client", error))?;
        let client = {
            let _inside = runtime.enter();
            config.build().map_err(wrong)?
        };
        Ok(Server { client, runtime, url: url.to_owned(), options: options.clone() })
    }

    /// Runs a call, again if it failed for a reason that may pass.
    fn call<T, F>(&self, doing: &str, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, QdrantError>>,
    {
        let mut wait = Duration::from_millis(200);
        for attempt in 0.. {
            match self.runtime.block_on(call()) {
                Ok(value) => return Ok(value),
                Err(error) if attempt < self.options.retries && may_pass(&error) => {
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                Err(error) => return Err(self.error(doing, &error)),
            }
        }
        Err(Error::new(ErrorKind::Bug, "a loop without end has ended"))
    }

    fn error(&self, doing: &str, error: &QdrantError) -> Error {
        let unreachable = "check that the server runs and that store.url is its gRPC address";
        let say = |hint: &str| Step::Say(hint.to_owned());
        let (kind, said, step) = match error {
            QdrantError::ResponseError { status } => {
                let code = status.code() as i32;
                let is_unreachable = status.message().starts_with("Failed to connect");
                let step = match code {
                    _ if is_unreachable => say(unreachable),
                    7 | 16 => say(
                        "check the API key: WELLREAD_QDRANT_API_KEY or store.server.api_key_file",
                    ),
                    5 => Step::Rebuild,
                    2 | 4 | 14 => say(unreachable),
                    _ => say("see the server's log"),
                };
                let kind = match code {
                    _ if is_unreachable => ErrorKind::Network,
                    7 | 16 => ErrorKind::Config,
                    2 | 4 | 14 => ErrorKind::Network,
                    _ => ErrorKind::Index,
                };
                (kind, format!("{:?}: {}", status.code(), status.message()), step)
            }
            other => (ErrorKind::Network, other.to_string(), say(unreachable)),
        };
        Error::new(kind, format!("the Qdrant server at {}: {doing}", self.url))
            .caused_by(said)
            .step(step)
    }

    /// The collection that the alias points to; `None` if it points nowhere.
    ///
    /// # Errors
    /// If the server fails.
    pub fn live(&self) -> Result<Option<String>> {
        let aliases = self.call("cannot list aliases", || self.client.list_aliases())?;
        Ok(aliases
            .aliases
            .into_iter()
            .find(|alias| alias.alias_name == self.options.alias)
            .map(|alias| alias.collection_name))
    }

    /// Points the alias to a generation, in one call: the server replaces what it pointed to.
    ///
    /// # Errors
    /// If the server fails.
    pub fn publish(&self, generation: &str) -> Result<()> {
        let collection = self.collection(generation);
        self.call("cannot switch the alias", || {
            self.client.create_alias(CreateAliasBuilder::new(
                collection.clone(),
                self.options.alias.clone(),
            ))
        })?;
        Ok(())
    }

    /// Deletes a generation's collection, if it is there.
    ///
    /// # Errors
    /// If the server fails.
    pub fn delete(&self, generation: &str) -> Result<()> {
        let name = self.collection(generation);
        if self.call("cannot look for a collection", || self.client.collection_exists(&name))? {
            self.call("cannot delete a collection", || self.client.delete_collection(&name))?;
        }
        Ok(())
    }

    /// The generations whose collections are on the server and belong to `owner`.
    ///
    /// # Errors
    /// If the server fails.
    pub fn generations(&self, owner: &str) -> Result<Vec<String>> {
        let found =
            self.call("cannot list collections", || self.client.list_collections())?.collections;
        let prefix = self.collection("");
        let mut ours = Vec::new();
        for collection in found {
            let Some(id) = collection.name.strip_prefix(&prefix) else { continue };
            if self.owner(id)?.as_deref() == Some(owner) {
                ours.push(id.to_owned());
            }
        }
        Ok(ours)
    }

    /// Who made a generation's collection, as it says of itself.
    fn owner(&self, generation: &str) -> Result<Option<String>> {
        let name = self.collection(generation);
        let info =
            self.call("cannot look at a collection", || self.client.collection_info(name.clone()))?;
        let config = info.result.and_then(|info| info.config);
        let owner = config.and_then(|mut config| config.metadata.remove(OWNER));
        Ok(owner.and_then(|owner| owner.into_json().as_str().map(str::to_owned)))
    }

    /// Deletes a collection that a killed build of the same owner left where a generation is to be
    /// made.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is one of somebody else's.
    pub fn clear(&self, generation: &str, owner: &str) -> Result<()> {
        let name = self.collection(generation);
        if !self.call("cannot look for a collection", || self.client.collection_exists(&name))? {
            return Ok(());
        }
        if self.owner(generation)?.as_deref() != Some(owner) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("collection {name} of {} belongs to another library", self.url),
            )
            .hint("set another store.server.alias"));
        }
        self.delete(generation)
    }

    /// The name of a generation's collection.
    pub fn collection(&self, generation: &str) -> String {
        format!("{}-{generation}", self.options.alias)
    }
}

/// Whether what is sent to an address can be read on its way. One that can't be understood counts as
/// such.
fn is_plain_and_remote(address: &str) -> bool {
    let Ok(address) = url::Url::parse(address) else { return true };
    if address.scheme() == "https" {
        return false;
    }
    match address.host() {
        Some(url::Host::Ipv4(host)) => !host.is_loopback(),
        Some(url::Host::Ipv6(host)) => {
            !host.is_loopback() && !host.to_ipv4_mapped().is_some_and(|host| host.is_loopback())
        }
        Some(url::Host::Domain(name)) => name != "localhost" && !name.ends_with(".localhost"),
        None => true,
    }
}

fn may_pass(error: &QdrantError) -> bool {
    match error {
        // Deadline exceeded, resource exhausted, aborted, unavailable.
        QdrantError::ResponseError { status } => matches!(status.code() as i32, 4 | 8 | 10 | 14),
        QdrantError::ResourceExhaustedError { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_another_machine_only_with_encryption_or_leave() {
        for (plain, address) in [
            (false, "http://localhost:6334"),
            (false, "http://qdrant.localhost:6334"),
            (false, "http://127.0.0.1:6334"),
            (false, "http://127.8.9.1:6334"),
            (false, "http://[::1]:6334"),
            (false, "https://qdrant.example.org:6334"),
            (true, "http://qdrant.example.org:6334"),
            (true, "http://localhost.example.org:6334"),
            (true, "http://192.168.1.5:6334"),
            (true, "http://10.0.0.1"),
            (true, "http://[2001:db8::1]:6334"),
            (true, "qdrant.example.org:6334"),
            (true, "grpc://qdrant.example.org:6334"),
        ] {
            assert_eq!(is_plain_and_remote(address), plain, "{address}");
            let mut options = ServerOptions::default();
            assert!(Server::connect(address, &options).is_ok(), "{address} without a key");
            options.api_key = ApiKey("s3cret".into());
            let error = Server::connect(address, &options).err();
            assert_eq!(error.as_ref().map(Error::kind), plain.then_some(ErrorKind::Config));
            assert!(!error.is_some_and(|error| error.chain().contains("s3cret")));
            options.allow_plain_http = true;
            assert!(Server::connect(address, &options).is_ok(), "{address} with leave");
        }
    }

    #[test]
    fn a_key_is_neither_shown_nor_written() {
        let options = ServerOptions { api_key: ApiKey("s3cret".into()), ..Default::default() };
        assert!(!format!("{options:?}").contains("s3cret"));
        assert!(!serde_json::to_string(&options).unwrap().contains("s3cret"));
        assert_eq!(format!("{:?}", ApiKey::default()), "none");
    }
}
