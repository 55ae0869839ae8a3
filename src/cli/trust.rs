//! What a `wellread.toml` of the working folder may set.
//!
//! The folder may have been downloaded with whatever it holds. So its file never decides where
//! articles, questions and answers are sent or kept, which files are read, or what is run: that is
//! for the user's own configuration, the environment and flags. It may set the rest.

use toml::Value;

use crate::models::Choice;

/// Keys, or with a dot at the end groups of keys, that such a file may set to anything.
const FREE: [&str; 36] = [
    "answer.caution",
    "answer.history",
    "answer.hits",
    "answer.max_",
    "answer.min_confidence",
    "answer.passages",
    "answer.read_tokens",
    "answer.seed",
    "answer.support.",
    "answer.temperature",
    "chunk.",
    "clean.",
    "fetch.concurrency",
    "fetch.connect_timeout_ms",
    "fetch.max_",
    "fetch.read_timeout_ms",
    "fetch.total_timeout_ms",
    "index.",
    "retrieval.",
    "serve.connections",
    "serve.grace_secs",
    "serve.max_body_bytes",
    "serve.mcp_secs",
    "serve.patience_secs",
    "serve.queue",
    "serve.sync_every",
    "store.embedded.",
    "store.server.batch",
    "store.server.batch_bytes",
    "store.server.exact",
    "store.server.hnsw_",
    "store.server.on_disk_payload",
    "store.server.quantization",
    "store.server.retries",
    "store.server.timeout_ms",
    "store.server.write_consistency",
];

/// Why such a file may not set a key to a value; `None` if it may. A key that is not known here is
/// refused.
pub(super) fn refusal(key: &str, value: &Value) -> Option<&'static str> {
    if key == "answer.escalate" && value.as_str() == Some("") {
        return None;
    }
    let is_free = FREE.iter().any(|free| match free.ends_with(['.', '_']) {
        true => key.starts_with(free),
        false => key == *free,
    });
    if is_free {
        return None;
    }
    match key {
        "device" => Some("it says which of your machine's processors are used"),
        "data" | "cache" => Some("it says where your articles and models are kept"),
        "offline" => (value.as_bool() != Some(true)).then_some("it allows the network"),
        "fetch.allow_private" => Some("it allows addresses of private networks"),
        "fetch.user_agent" => Some("it says who asks"),
        "answer.escalate" | "models.embedder" | "models.generator" => {
            let is_name = value
                .as_str()
                .is_some_and(|name| matches!(Choice::parse(name), Ok(Choice::Manifest(_))));
            (!is_name).then_some(
                "it names a file or a download; only a name from `wellread models list` is allowed",
            )
        }
        "models.manifests" => Some("it says where models come from"),
        "models.prompt" => Some("it is what the LLM is told"),
        "serve.token_file" => Some("it names a file whose content opens your articles to others"),
        "store.server.allow_plain_http" => Some("it lets an API key be sent unencrypted"),
        "store.server.api_key_file" => Some("it names a file whose content is sent to a server"),
        "store.server.replicas" | "store.server.shards" => {
            Some("it decides how your server keeps the index")
        }
        _ if key.starts_with("store.") => Some("it says where articles and questions are sent"),
        _ => Some("only your own configuration may set it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::Settings;

    /// A new setting has to be put on one side or the other here.
    #[test]
    fn each_setting_is_free_or_not() {
        let settings = Settings::load(Some("/dev/null".as_ref()), &[], &|_| None).unwrap();
        let refused: Vec<&str> = settings
            .origins
            .iter()
            .filter(|(key, (value, _))| refusal(key, value).is_some())
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(
            refused,
            [
                "cache",
                "data",
                "device",
                "fetch.allow_private",
                "fetch.user_agent",
                "models.manifests",
                "models.prompt",
                "offline",
                "serve.token_file",
                "store.server.alias",
                "store.server.allow_plain_http",
                "store.server.api_key_file",
                "store.server.replicas",
                "store.server.shards",
                "store.url",
            ]
        );
        // A text may name a file or a place; none of these does.
        let free_texts: Vec<&str> = settings
            .origins
            .iter()
            .filter(|(key, (value, _))| value.is_str() && refusal(key, value).is_none())
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(
            free_texts,
            [
                "answer.caution",
                "answer.escalate",
                "chunk.heading_path",
                "models.embedder",
                "models.generator",
                "retrieval.fusion"
            ]
        );
    }

    #[test]
    fn a_model_by_its_name_alone_and_the_network_off_alone() {
        let says = |key: &str, value: &str| refusal(key, &Value::String(value.to_owned()));
        assert_eq!(says("models.generator", "smollm2-135m-instruct"), None);
        assert_eq!(says("answer.escalate", ""), None);
        assert_eq!(says("answer.escalate", "smollm2-135m-instruct"), None);
        assert!(says("answer.escalate", "hub:o/r/f.gguf").is_some());
        for other in ["model.gguf", "./model", "hub:o/r/f.gguf", ""] {
            assert!(says("models.generator", other).is_some(), "{other}");
        }
        assert!(refusal("offline", &Value::Boolean(true)).is_none());
        assert!(refusal("offline", &Value::Boolean(false)).is_some());
        assert!(refusal("something.new", &Value::Boolean(true)).is_some());
    }
}
