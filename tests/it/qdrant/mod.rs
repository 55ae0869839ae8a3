//! Qdrant's gRPC protocol over loopback, for tests: the server traits that `qdrant-client`
//! generates, over `qdrant-edge` shards, as many as a collection is made with; each counts and ranks
//! its own points, as on a real cluster. What a real server does beyond what wellread asks of it
//! (clusters, snapshots, other kinds of queries) is answered with "unimplemented".

mod convert;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qdrant_client::qdrant::{
    self as grpc, alias_operations, collections_server, points_selector, points_server, query,
    vector_input, with_payload_selector, with_vectors_selector,
};
use qdrant_edge as edge;
use serde_json::json;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, async_trait};

use convert::*;

/// A server in this process, with what it can be told to do wrong.
pub struct QdrantServer {
    pub url: String,
    state: Arc<State>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct State {
    key: Option<String>,
    collections: Mutex<BTreeMap<String, Collection>>,
    aliases: Mutex<BTreeMap<String, String>>,
    /// Writes until one fails, from 1; 0: none fails.
    fail_after: AtomicUsize,
    /// How many writes fail then.
    failures: AtomicUsize,
    writes: AtomicUsize,
    /// The payload fields that scans without vectors asked for; `None`: all.
    scanned: Mutex<Vec<Option<Vec<String>>>>,
    /// Last: shards are written when they are dropped.
    dir: tempfile::TempDir,
}

struct Collection {
    shards: Vec<edge::EdgeShard>,
    created: grpc::CreateCollection,
    path: PathBuf,
}

impl Collection {
    /// The shard that a point lies in.
    fn place(&self, id: &edge::PointId) -> usize {
        let number = match id {
            edge::PointId::Uuid(id) => id.as_u128() ^ (id.as_u128() >> 61),
            edge::PointId::NumId(n) => u128::from(*n),
        };
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17) as usize % self.shards.len()
    }

    fn update_all(&self, operation: &edge::UpdateOperation) -> Result<(), String> {
        self.shards.iter().try_for_each(|shard| shard.update(operation.clone()).map_err(said))
    }
}

impl QdrantServer {
    pub fn start() -> QdrantServer {
        QdrantServer::with_key(None)
    }

    pub fn with_key(key: Option<&str>) -> QdrantServer {
        let state = Arc::new(State {
            dir: tempfile::tempdir().unwrap(),
            key: key.map(str::to_owned),
            collections: Mutex::default(),
            aliases: Mutex::default(),
            fail_after: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            scanned: Mutex::default(),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                ready.send(incoming.local_addr().unwrap()).unwrap();
                let service = Service(served);
                let big = 64 << 20;
                let points = points_server::PointsServer::new(service.clone())
                    .max_decoding_message_size(big)
                    .max_encoding_message_size(big);
                tonic::transport::Server::builder()
                    .add_service(collections_server::CollectionsServer::new(service))
                    .add_service(points)
                    .serve_with_incoming_shutdown(incoming, async {
                        let _ = stopped.await;
                    })
                    .await
                    .unwrap();
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        let address: std::net::SocketAddr = address.recv().unwrap();
        QdrantServer {
            url: format!("http://{address}"),
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The names of the collections.
    pub fn collections(&self) -> Vec<String> {
        self.state.collections.lock().unwrap().keys().cloned().collect()
    }

    /// Where an alias points.
    pub fn alias(&self, name: &str) -> Option<String> {
        self.state.aliases.lock().unwrap().get(name).cloned()
    }

    /// What a collection was made with.
    pub fn created(&self, name: &str) -> grpc::CreateCollection {
        self.state.collections.lock().unwrap()[name].created.clone()
    }

    /// The payload fields that each scan since the last call asked for; `None`: all.
    pub fn scanned(&self) -> Vec<Option<Vec<String>>> {
        std::mem::take(&mut self.state.scanned.lock().unwrap())
    }

    /// How many points a collection has in each of its shards.
    pub fn shards(&self, name: &str) -> Vec<usize> {
        let all = self.state.collections.lock().unwrap();
        all[name].shards.iter().map(|shard| shard.info().points_count).collect()
    }

    /// After `writes` more writes, `count` of them are answered with "unavailable".
    pub fn fail(&self, writes: usize, count: usize) {
        self.state.writes.store(0, Ordering::SeqCst);
        self.state.fail_after.store(writes + 1, Ordering::SeqCst);
        self.state.failures.store(count, Ordering::SeqCst);
    }
}

impl Drop for QdrantServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        // Connections that clients keep open are not waited for.
        drop(self.thread.take());
    }
}

#[derive(Clone)]
struct Service(Arc<State>);

type Answer<T> = Result<Response<T>, Status>;

impl Service {
    #[allow(clippy::result_large_err)]
    fn allow<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let given = request.metadata().get("api-key").and_then(|key| key.to_str().ok());
        match &self.0.key {
            Some(key) if given != Some(key.as_str()) => {
                Err(Status::permission_denied("Must provide an API key"))
            }
            _ => Ok(()),
        }
    }

    #[allow(clippy::result_large_err)]
    fn write(&self) -> Result<(), Status> {
        let state = &self.0;
        let at = state.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let from = state.fail_after.load(Ordering::SeqCst);
        if from > 0 && at >= from && at < from + state.failures.load(Ordering::SeqCst) {
            return Err(Status::unavailable("told to fail"));
        }
        Ok(())
    }

    #[allow(clippy::result_large_err)]
    fn with<T>(
        &self,
        name: &str,
        use_it: impl FnOnce(&mut Collection) -> Result<T, String>,
    ) -> Result<T, Status> {
        let name = match self.0.aliases.lock().unwrap().get(name) {
            Some(target) => target.clone(),
            None => name.to_owned(),
        };
        let mut all = self.0.collections.lock().unwrap();
        let collection = all.get_mut(&name).ok_or_else(|| {
            Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"))
        })?;
        use_it(collection).map_err(Status::internal)
    }
}

fn done() -> Response<grpc::PointsOperationResponse> {
    Response::new(grpc::PointsOperationResponse {
        result: Some(grpc::UpdateResult {
            operation_id: Some(1),
            status: grpc::UpdateStatus::Completed.into(),
        }),
        ..Default::default()
    })
}

/// The methods of a service that wellread never calls.
macro_rules! unimplemented {
    ($($name:ident($request:ident) -> $response:ident;)*) => {
        $(
            fn $name<'life, 'async_trait>(
                &'life self,
                _: Request<grpc::$request>,
            ) -> std::pin::Pin<Box<dyn Future<Output = Answer<grpc::$response>> + Send + 'async_trait>>
            where
                'life: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
            }
        )*
    };
}

// Below the macro that it uses.
mod points;

#[async_trait]
impl collections_server::Collections for Service {
    async fn get(
        &self,
        request: Request<grpc::GetCollectionInfoRequest>,
    ) -> Answer<grpc::GetCollectionInfoResponse> {
        self.allow(&request)?;
        let name = request.into_inner().collection_name;
        let (created, points) = self.with(&name, |collection| {
            let counts = collection.shards.iter().map(|shard| shard.info().points_count);
            let points: usize = counts.sum();
            Ok((collection.created.clone(), points))
        })?;
        let params = grpc::CollectionParams {
            shard_number: created.shard_number.unwrap_or(1),
            vectors_config: created.vectors_config,
            sparse_vectors_config: created.sparse_vectors_config,
            replication_factor: created.replication_factor,
            ..Default::default()
        };
        let config = grpc::CollectionConfig {
            params: Some(params),
            metadata: created.metadata,
            ..Default::default()
        };
        let info = grpc::CollectionInfo {
            status: grpc::CollectionStatus::Green.into(),
            config: Some(config),
            points_count: Some(points as u64),
            ..Default::default()
        };
        Ok(Response::new(grpc::GetCollectionInfoResponse { result: Some(info), time: 0.0 }))
    }

    async fn list(
        &self,
        request: Request<grpc::ListCollectionsRequest>,
    ) -> Answer<grpc::ListCollectionsResponse> {
        self.allow(&request)?;
        let all = self.0.collections.lock().unwrap();
        let collections =
            all.keys().map(|name| grpc::CollectionDescription { name: name.clone() }).collect();
        Ok(Response::new(grpc::ListCollectionsResponse { collections, time: 0.0 }))
    }

    async fn create(
        &self,
        request: Request<grpc::CreateCollection>,
    ) -> Answer<grpc::CollectionOperationResponse> {
        self.allow(&request)?;
        let created = request.into_inner();
        let mut all = self.0.collections.lock().unwrap();
        let name = created.collection_name.clone();
        if all.contains_key(&name) {
            return Err(Status::already_exists(format!("Collection `{name}` already exists!")));
        }
        let path = self.0.dir.path().join(&name);
        let config = config_of(&created).map_err(Status::invalid_argument)?;
        let mut shards = Vec::new();
        for number in 0..created.shard_number.unwrap_or(1) {
            let path = path.join(number.to_string());
            std::fs::create_dir_all(&path)?;
            let shard = edge::EdgeShard::new(&path, config.clone())
                .map_err(|error| Status::internal(error.to_string()))?;
            shards.push(shard);
        }
        all.insert(name, Collection { shards, created, path });
        Ok(Response::new(grpc::CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn delete(
        &self,
        request: Request<grpc::DeleteCollection>,
    ) -> Answer<grpc::CollectionOperationResponse> {
        self.allow(&request)?;
        let name = request.into_inner().collection_name;
        let gone = self.0.collections.lock().unwrap().remove(&name);
        self.0.aliases.lock().unwrap().retain(|_, target| *target != name);
        let result = gone.is_some();
        if let Some(Collection { shards, path, .. }) = gone {
            drop(shards);
            let _ = std::fs::remove_dir_all(path);
        }
        Ok(Response::new(grpc::CollectionOperationResponse { result, time: 0.0 }))
    }

    async fn update_aliases(
        &self,
        request: Request<grpc::ChangeAliases>,
    ) -> Answer<grpc::CollectionOperationResponse> {
        self.allow(&request)?;
        let collections = self.0.collections.lock().unwrap();
        let mut aliases = self.0.aliases.lock().unwrap();
        // All or none, as the server does it.
        let mut changed = aliases.clone();
        for action in request.into_inner().actions {
            match action.action {
                Some(alias_operations::Action::CreateAlias(one)) => {
                    if !collections.contains_key(&one.collection_name) {
                        return Err(Status::not_found(one.collection_name));
                    }
                    changed.insert(one.alias_name, one.collection_name);
                }
                Some(alias_operations::Action::DeleteAlias(one)) => {
                    changed.remove(&one.alias_name);
                }
                other => return Err(Status::unimplemented(format!("{other:?}"))),
            }
        }
        *aliases = changed;
        Ok(Response::new(grpc::CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn list_aliases(
        &self,
        request: Request<grpc::ListAliasesRequest>,
    ) -> Answer<grpc::ListAliasesResponse> {
        self.allow(&request)?;
        let aliases = self.0.aliases.lock().unwrap();
        let aliases = aliases
            .iter()
            .map(|(alias, collection)| grpc::AliasDescription {
                alias_name: alias.clone(),
                collection_name: collection.clone(),
            })
            .collect();
        Ok(Response::new(grpc::ListAliasesResponse { aliases, time: 0.0 }))
    }

    async fn collection_exists(
        &self,
        request: Request<grpc::CollectionExistsRequest>,
    ) -> Answer<grpc::CollectionExistsResponse> {
        self.allow(&request)?;
        let name = request.into_inner().collection_name;
        let exists = self.0.collections.lock().unwrap().contains_key(&name);
        let result = Some(grpc::CollectionExists { exists });
        Ok(Response::new(grpc::CollectionExistsResponse { result, time: 0.0 }))
    }

    unimplemented! {
        update(UpdateCollection) -> CollectionOperationResponse;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}
