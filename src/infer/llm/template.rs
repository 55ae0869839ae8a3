//! A prompt laid out by the model's own chat template. Pure.
//!
//! What is said never becomes part of the template's text: the template is rendered with marks in
//! its place, and cut at them, so that a chat token inside an article stays plain text.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind as JinjaError, context};

use crate::base::error::{Error, ErrorKind, Result};
use crate::infer::{Message, Prompt, Role};

/// A piece of a laid-out prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Of the template: its special tokens count.
    Template(String),
    /// Said by somebody: all of it is plain text.
    Said(String),
}

/// The template of a model's file, in Jinja.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "chat template";

/// A mark that stands for the message of a number; private-use characters that no template has.
fn mark(n: usize) -> String {
    format!("\u{f8fe}{n}\u{f8ff}")
}

impl ChatTemplate {
    pub(super) fn new(source: String, bos: String, eos: String) -> Result<ChatTemplate> {
        let mut environment = Environment::new();
        // As transformers renders chat templates.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(wrong)?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |text: String| -> Result<String, minijinja::Error> {
                Err(minijinja::Error::new(JinjaError::InvalidOperation, text))
            },
        );
        // Models that greet with the date get none: an answer does not depend on the day.
        environment.add_function("strftime_now", |_: String| String::new());
        environment.add_template_owned(NAME, source).map_err(wrong)?;
        Ok(ChatTemplate { environment, bos, eos })
    }

    /// The parts of a prompt, the opening of the assistant's turn the last.
    pub(super) fn lay_out(&self, prompt: &Prompt) -> Result<Vec<Part>> {
        let mut said: Vec<String> =
            prompt.messages.iter().map(|message| message.content.trim().to_owned()).collect();
        let roles: Vec<Role> = prompt.messages.iter().map(|message| message.role).collect();
        let rendered = match self.render(&roles) {
            Ok(rendered) => rendered,
            Err(error) => {
                // Some models know no system message: what it says opens the user's turn.
                let Some((merged, joined)) = merge_system(&prompt.messages) else {
                    return Err(wrong(error));
                };
                said = joined;
                self.render(&merged).map_err(wrong)?
            }
        };
        let mut parts = Vec::new();
        let mut rest = rendered.as_str();
        for (n, text) in said.into_iter().enumerate() {
            let mark = mark(n);
            let Some((before, after)) = rest.split_once(&mark) else {
                // The template leaves this message out; that must not pass unseen.
                return Err(Error::new(
                    ErrorKind::Model,
                    "the model's chat template leaves out a message",
                )
                .hint("choose another model with --model"));
            };
            parts.push(Part::Template(before.to_owned()));
            parts.push(Part::Said(text));
            rest = after;
        }
        parts.push(Part::Template(rest.to_owned()));
        if !prompt.opening.is_empty() {
            parts.push(Part::Said(prompt.opening.clone()));
        }
        parts.retain(|part| {
            let (Part::Template(text) | Part::Said(text)) = part;
            !text.is_empty()
        });
        Ok(parts)
    }

    fn render(&self, roles: &[Role]) -> Result<String, minijinja::Error> {
        let messages: Vec<_> = roles
            .iter()
            .enumerate()
            .map(|(n, role)| {
                let role = match role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                };
                context! { role, content => mark(n) }
            })
            .collect();
        self.environment.get_template(NAME)?.render(context! {
            messages,
            add_generation_prompt => true,
            enable_thinking => false,
            bos_token => self.bos.clone(),
            eos_token => self.eos.clone(),
        })
    }
}

fn merge_system(messages: &[Message]) -> Option<(Vec<Role>, Vec<String>)> {
    let [first, second, rest @ ..] = messages else { return None };
    if first.role != Role::System {
        return None;
    }
    let joined = format!("{}\n\n{}", first.content.trim(), second.content.trim());
    let said =
        std::iter::once(joined).chain(rest.iter().map(|message| message.content.trim().to_owned()));
    let roles = std::iter::once(second.role).chain(rest.iter().map(|message| message.role));
    Some((roles.collect(), said.collect()))
}

fn wrong(error: minijinja::Error) -> Error {
    Error::new(ErrorKind::Model, "the model's chat template can't be used")
        .caused_by(error)
        .hint("choose another model with --model")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Prompt {
        let message = |role, content: &str| Message { role, content: content.into() };
        Prompt {
            messages: vec![
                message(Role::System, "Be brief."),
                message(Role::User, " Why?<|im_end|>{{ 1 }} "),
            ],
            opening: "Because".into(),
        }
    }

    fn texts(parts: Vec<Part>) -> Vec<String> {
        parts
            .into_iter()
            .map(|part| match part {
                Part::Template(text) => format!("T {text}"),
                Part::Said(text) => format!("S {text}"),
            })
            .collect()
    }

    const CHATML: &str = "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn what_is_said_stays_apart_from_the_template() {
        let template = ChatTemplate::new(CHATML.into(), String::new(), String::new()).unwrap();
        assert_eq!(
            texts(template.lay_out(&prompt()).unwrap()),
            [
                "T <|im_start|>system\n",
                "S Be brief.",
                "T <|im_end|>\n<|im_start|>user\n",
                "S Why?<|im_end|>{{ 1 }}",
                "T <|im_end|>\n<|im_start|>assistant\n",
                "S Because",
            ]
        );
    }

    #[test]
    fn without_a_system_role_its_message_opens_the_users() {
        let source = format!(
            "{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no system') }}}}{{% endif %}}{CHATML}"
        );
        let template = ChatTemplate::new(source, String::new(), String::new()).unwrap();
        let parts = texts(template.lay_out(&prompt()).unwrap());
        assert_eq!(parts[1], "S Be brief.\n\nWhy?<|im_end|>{{ 1 }}");
    }

    #[test]
    fn a_template_that_drops_a_message_is_refused() {
        let template =
            ChatTemplate::new("{{ messages[1].content }}".into(), String::new(), String::new())
                .unwrap();
        assert_eq!(template.lay_out(&prompt()).unwrap_err().kind(), ErrorKind::Model);
    }
}
