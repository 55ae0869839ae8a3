//! A chat request: what of it is a question, what was asked before, and what can't be had.

use serde::Deserialize;
use serde_json::Value;

use super::MODEL;
use super::failure::Refused;
use super::said::ABSTAINED;
use crate::answer::cite::strip_marks;
use crate::answer::conversation::Turn;
use crate::base::text::collapse;

/// Earlier questions that are looked at.
const TURNS: usize = 16;

/// A chat request. Members that only steer how a model writes are passed over: clients send them by
/// habit, and they don't change what the articles say.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    model: String,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    functions: Option<Vec<Value>>,
    #[serde(default)]
    response_format: Option<Value>,
    #[serde(default)]
    modalities: Option<Vec<String>>,
    #[serde(default)]
    logprobs: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

/// A question with what was asked before it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: String,
    pub(super) turns: Vec<Turn>,
}

impl Request {
    /// Whether the stream is to end with what was used up.
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// What is asked.
    ///
    /// # Errors
    /// What can't be had, and messages that hold no question.
    pub(super) fn asked(&self) -> Result<Asked, Refused> {
        if self.model != MODEL {
            return Err(Refused::no_model(&self.model, &[MODEL]));
        }
        let some = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if self.n.is_some_and(|n| n != 1) {
            return Err(Refused::wrong("n", "There is one answer to a question: n can only be 1."));
        }
        if some(&self.tools) || some(&self.functions) {
            let message = "Tools can't be called: the answer comes from the articles alone.";
            return Err(Refused::wrong("tools", message));
        }
        let format = self.response_format.as_ref().and_then(|format| format.get("type"));
        if format.is_some_and(|format| format != "text") {
            let message = "Answers are sentences with citations; response_format can only be text. \
                           The member \"wellread\" of each answer is JSON.";
            return Err(Refused::wrong("response_format", message));
        }
        if self.modalities.iter().flatten().any(|modality| modality != "text") {
            return Err(Refused::wrong("modalities", "Answers are text."));
        }
        if self.logprobs == Some(true) {
            return Err(Refused::wrong("logprobs", "Token probabilities are not available."));
        }
        self.conversation()
    }

    fn conversation(&self) -> Result<Asked, Refused> {
        let wrong = |message: &str| Refused::wrong("messages", message);
        let mut turns: Vec<Turn> = Vec::new();
        let mut open: Option<String> = None;
        for message in &self.messages {
            let text = || text_of(message.content.as_ref());
            match message.role.as_str() {
                "user" => {
                    // A question that nobody answered was asked all the same.
                    let unanswered = open.replace(text()?);
                    turns.extend(unanswered.map(|question| turn(question, String::new())));
                }
                "assistant" => {
                    let answer = text().unwrap_or_default();
                    turns.extend(open.take().map(|question| turn(question, plain(&answer))));
                }
                // Instructions can't change what the articles say.
                "system" | "developer" | "tool" | "function" => {}
                other => {
                    let other: String = other.chars().take(40).collect();
                    return Err(wrong(&format!("There is no role '{other}'.")));
                }
            }
        }
        let question = open.ok_or_else(|| {
            wrong("The last message must be the user's: there is no question to be answered.")
        })?;
        if question.trim().is_empty() {
            return Err(wrong("The question is empty."));
        }
        turns.drain(..turns.len().saturating_sub(TURNS));
        Ok(Asked { question, turns })
    }
}

fn turn(question: String, answer: String) -> Turn {
    Turn { question, answer, ..Turn::default() }
}

/// The text of a message; nothing else can be read.
fn text_of(content: Option<&Content>) -> Result<String, Refused> {
    match content {
        None => Ok(String::new()),
        Some(Content::Text(text)) => Ok(text.clone()),
        Some(Content::Parts(parts)) => {
            let mut all = Vec::new();
            for part in parts {
                match (part.kind.as_str(), &part.text) {
                    ("text", Some(text)) => all.push(text.as_str()),
                    (kind, _) => {
                        let kind: String = kind.chars().take(40).collect();
                        let message = format!("Only text can be read, and this holds: {kind}.");
                        return Err(Refused::wrong("messages", message));
                    }
                }
            }
            Ok(all.join("\n"))
        }
    }
}

/// An answer of ours as it was before it was marked and linked; empty if it said that the articles
/// don't say.
fn plain(answer: &str) -> String {
    if answer.trim_start().starts_with(ABSTAINED) {
        return String::new();
    }
    let mut text = String::new();
    let mut rest = answer;
    // `[3](https://…)` becomes `[3]`.
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at + 1);
        text.push_str(before);
        let digits = before.trim_end_matches(']').rsplit('[').next().unwrap_or_default();
        let is_mark = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match after.split_once(')') {
            Some((_, after)) if is_mark => rest = after,
            _ => {
                text.push('(');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    text.push_str(rest);
    collapse(&strip_marks(&text).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: Value) -> Result<Asked, Refused> {
        serde_json::from_value::<Request>(value).unwrap().asked()
    }

    #[test]
    fn earlier_messages_are_turns_and_their_marks_are_gone() {
        let asked = asked(serde_json::json!({
            "model": "wellread",
            "temperature": 0.2,
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": "Who drew it?" },
                { "role": "assistant", "content": "Ada did. [1](https://a.example/x)[2](https://b.example) [so](http://c.example)" },
                { "role": "user", "content": "And why?" },
                { "role": "assistant", "content": format!("{ABSTAINED} (nothing).") },
                { "role": "user", "content": [{ "type": "text", "text": "And when?" }] },
            ]
        }))
        .unwrap();
        assert_eq!(asked.question, "And when?");
        let turns: Vec<(&str, &str)> =
            asked.turns.iter().map(|turn| (&*turn.question, &*turn.answer)).collect();
        let wanted = [("Who drew it?", "Ada did. [so](http://c.example)"), ("And why?", "")];
        assert_eq!(turns, wanted);
    }

    #[test]
    fn what_cant_be_had_is_refused_by_name_and_habits_are_not() {
        let with = |more: Value| {
            let mut value = serde_json::json!({
                "model": "wellread",
                "messages": [{ "role": "user", "content": "Why?" }],
            });
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            asked(value)
        };
        let image = serde_json::json!({ "type": "image_url", "image_url": { "url": "data:," } });
        for (more, param) in [
            (serde_json::json!({ "n": 2 }), "n"),
            (serde_json::json!({ "tools": [{}] }), "tools"),
            (
                serde_json::json!({ "response_format": { "type": "json_object" } }),
                "response_format",
            ),
            (serde_json::json!({ "logprobs": true }), "logprobs"),
            (serde_json::json!({ "messages": [] }), "messages"),
            (
                serde_json::json!({ "messages": [{ "role": "user", "content": [image] }] }),
                "messages",
            ),
            (serde_json::json!({ "messages": [{ "role": "king", "content": "?" }] }), "messages"),
            (serde_json::json!({ "model": "gpt-9" }), "model"),
        ] {
            let shape = with(more).unwrap_err().shape();
            assert_eq!(shape["error"]["param"], param, "{shape}");
            assert_eq!(shape["error"]["type"], "invalid_request_error");
        }
        let habits = serde_json::json!({
            "n": 1, "tools": [], "temperature": 0.7, "top_p": 1, "user": "me", "stop": ["x"],
            "max_tokens": 10, "response_format": { "type": "text" }, "logprobs": false,
        });
        assert_eq!(with(habits).unwrap().question, "Why?");
    }
}
