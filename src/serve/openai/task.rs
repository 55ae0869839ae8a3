//! Prompts by which chat programs (Open WebUI and others) have a model name and sort a conversation.
//! They are no questions to the articles, and answered from themselves.

use crate::base::text::collapse;

/// What such prompts begin with.
const TASK: &str = "### Task:";

/// Words of a title.
const WORDS: usize = 6;

/// The answer to such a prompt; `None` if it is none.
pub(super) fn answer(prompt: &str) -> Option<String> {
    let prompt = prompt.trim_start();
    if !prompt.starts_with(TASK) {
        return None;
    }
    let wants = |member: &str| prompt.contains(&format!("\"{member}\""));
    let value = if wants("follow_ups") {
        serde_json::json!({ "follow_ups": [] })
    } else if wants("queries") {
        serde_json::json!({ "queries": [] })
    } else if wants("tags") {
        serde_json::json!({ "tags": ["Articles"] })
    } else if wants("title") {
        serde_json::json!({ "title": title(prompt) })
    } else if wants("text") {
        serde_json::json!({ "text": "" })
    } else {
        return Some(
            "This model answers questions from articles, and does nothing else.".to_owned(),
        );
    };
    Some(value.to_string())
}

/// The first words of what the user said first.
fn title(prompt: &str) -> String {
    let history = prompt.split_once("<chat_history>").map_or("", |(_, history)| history);
    let history = history.split("</chat_history>").next().unwrap_or_default();
    let said = history.split_once("USER:").map_or("", |(_, said)| said);
    let said = said.split("ASSISTANT:").next().unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().take(WORDS).collect();
    let title = collapse(&words.join(" "));
    let title = title.trim_end_matches(['?', '.', '!', ',', ';', ':']);
    if title.is_empty() { "Articles".to_owned() } else { title.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_tags_are_made_of_the_prompt_itself() {
        let prompt = "### Task:\nGenerate a concise title.\n### Output:\nJSON format: { \"title\": \
                      \"your title\" }\n### Chat History:\n<chat_history>\nUSER: How long does the \
                      varnish on the boat take?\nASSISTANT: Two days.\n</chat_history>";
        let wanted = "{\"title\":\"How long does the varnish on\"}";
        assert_eq!(answer(prompt).as_deref(), Some(wanted));
        let tags = "### Task:\nGenerate 1-3 broad tags … { \"tags\": [\"tag1\"] }";
        assert_eq!(answer(tags).as_deref(), Some("{\"tags\":[\"Articles\"]}"));
        assert!(answer("### Task:\nSing.").is_some());
        assert_eq!(answer("What does \"### Task:\" mean?"), None);
    }
}
