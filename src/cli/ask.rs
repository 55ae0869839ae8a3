//! `ask` and `search`.

use std::io::Read;

use super::Outcome;
use super::app::{App, as_text, checked, given, piped};
use super::args::{Ask, Format, Search};
use super::chat::{Session, answer_lines};
use super::ui::Pen;
use super::{markdown, server, text};
use crate::answer::{self, Answer, AnswerSentence, AnswerStatus, Said};
use crate::api::{self, AnswerShape, SearchShape};
use crate::base::error::{Error, ErrorKind, Result};
use crate::engine::Question;
use crate::infer::schema::Schema;
use crate::retrieve::{MAX_QUESTION_BYTES, check_question};
use crate::serve::local;

/// The most hits that can be asked for.
const MAX_LIMIT: usize = 1000;

pub(super) fn ask(app: &App<'_>, args: &Ask) -> Result<Outcome> {
    let asked = if args.question == "-" {
        let input = piped("question", MAX_QUESTION_BYTES)?;
        // Several lines are a conversation.
        if input.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count()
            > 1
        {
            return conversation(app, args, input);
        }
        as_text(input, "question")?
    } else {
        args.question.clone()
    };
    let asked = check_question(&asked)?;
    let format = match (app.json, args.format) {
        (true, Format::Markdown) => return Err(excludes_markdown("--json")),
        (false, Format::Markdown) if args.schema.is_some() => {
            return Err(excludes_markdown("--schema"));
        }
        (true, _) => Format::Json,
        (false, format) => format,
    };
    let schema = args.schema.as_deref().map(Schema::open).transpose()?;
    let (filter, sources) = checked(app, &args.filter)?;
    let question = Question { text: asked, filter: &filter, sources: &sources };
    let streams = format == Format::Text && schema.is_none();
    let mut before: Option<AnswerSentence> = None;
    let mut show = |sentence: &AnswerSentence| {
        if !streams {
            return Ok(());
        }
        let separator = answer::separator(before.as_ref(), sentence);
        before = Some(sentence.clone());
        app.ui.clear();
        app.ui.result(&format!("{separator}{}", text::sentence(app.ui.pen, sentence)))
    };
    let mut passages = Vec::new();
    let outcome = app.watched(|watch| {
        let kb = app.kb()?;
        let mut on_said = |said: Said<'_>| match said {
            Said::Sentence(sentence) => show(sentence),
            Said::Passages(found) => {
                passages = found.to_vec();
                Ok(())
            }
            // Something to read while the LLM reads.
            Said::Quotes(quotes) => {
                if format != Format::Json {
                    text::quotes(quotes, &passages).iter().for_each(|line| app.ui.status(line));
                }
                Ok(())
            }
            Said::Standalone(_) | Said::Dropped(_) => Ok(()),
        };
        let handed = server::handed(app, &question, 0, args.quotes, schema.as_ref())?;
        let there = match handed.filter(|_| !args.no_server) {
            Some(handed) => {
                let answered = local::ask(&kb.places().data, &handed, watch, &mut on_said)?;
                server::or_alone(app, answered)
            }
            None => None,
        };
        match (there, &schema) {
            (Some(answer), _) => Ok(answer),
            (None, Some(schema)) => kb.fill(&question, schema, watch, &mut on_said),
            (None, None) if args.quotes => kb.quote(&question, watch),
            (None, None) => kb.ask(&question, watch, &mut on_said),
        }
    });
    if let Ok(answer) = &outcome
        && args.quotes
    {
        answer.sentences.iter().try_for_each(&mut show)?;
    }
    if before.is_some() {
        app.ui.result("\n")?;
    }
    let answer = outcome?;
    // An answer is not lost because it can't be kept.
    let id = api::keep(app.kb()?, None, asked, &answer).unwrap_or_else(|error| {
        app.ui.warning(&format!("the answer was not kept: {}", error.chain()));
        None
    });
    if format == Format::Json {
        let model = &app.kb()?.config().models.generator;
        app.ui.json(&AnswerShape { id, ..AnswerShape::new(asked, model, &answer) })?;
    } else if schema.is_some() {
        show_data(app, &answer, args.explain)?;
    } else if format == Format::Markdown {
        app.ui.result(&app.ui.pen.safe(&markdown::answer(&answer)))?;
    } else {
        let pen = app.ui.pen;
        let mut rest = match answer.status {
            AnswerStatus::Answered => format!("\n{}", text::sources(pen, &answer)),
            AnswerStatus::Abstained => text::abstention(pen, &answer),
        };
        if args.explain {
            rest.push_str(&text::explanation(pen, &answer));
        }
        app.ui.result(&rest)?;
        if answer.usage.hits_left_out > 0 {
            app.ui.status(&format!(
                "{} further hits were not read (answer.passages, answer.read_tokens)",
                answer.usage.hits_left_out
            ));
        }
    }
    Ok(match answer.status {
        AnswerStatus::Answered => Outcome::Done,
        AnswerStatus::Abstained => Outcome::No,
    })
}

fn excludes_markdown(flag: &str) -> Error {
    let message = format!("{flag} and --format markdown exclude each other");
    Error::new(ErrorKind::Usage, message).hint("leave one of them out")
}

/// Shows the answer to a question with a schema: its JSON alone on stdout, which a program reads.
fn show_data(app: &App<'_>, answer: &Answer, explains: bool) -> Result<()> {
    if let (AnswerStatus::Answered, Some(data)) = (answer.status, &answer.data) {
        app.ui.json(&data.value)?;
    }
    let pen = Pen { color: false, escape: false };
    let mut rest = text::data(pen, answer);
    if explains {
        rest.push_str(&text::explanation(pen, answer));
    }
    rest.lines().for_each(|line| app.ui.announce(line));
    Ok(())
}

pub(super) fn search(app: &App<'_>, args: &Search) -> Result<Outcome> {
    let asked = given(&args.query, "question", MAX_QUESTION_BYTES)?;
    let asked = check_question(&asked)?;
    if args.limit == 0 || args.limit > MAX_LIMIT {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("-k is {}; it can be 1 to {MAX_LIMIT}", args.limit),
        )
        .hint("wellread search -k 10 …"));
    }
    let (filter, sources) = checked(app, &args.filter)?;
    let question = Question { text: asked, filter: &filter, sources: &sources };
    let found = app.watched(|watch| {
        let kb = app.kb()?;
        let handed = server::handed(app, &question, args.limit, false, None)?;
        if let Some(handed) = handed.filter(|_| !args.no_server) {
            let found = local::search(&kb.places().data, &handed, watch)?;
            if let Some(found) = server::or_alone(app, found) {
                return Ok(found);
            }
        }
        kb.search(&question, args.limit, watch)
    })?;
    if app.json {
        app.ui.json(&SearchShape::new(asked, &found))?;
    } else {
        app.ui.result(&text::hits(app.ui.pen, &found))?;
    }
    Ok(Outcome::Done)
}

/// A question a line: those that were read, then what else there is.
fn conversation(app: &App<'_>, args: &Ask, input: Vec<u8>) -> Result<Outcome> {
    if args.format == Format::Markdown || args.explain || args.schema.is_some() {
        return Err(Error::new(
            ErrorKind::Usage,
            "several questions on standard input are answered as lines of JSON",
        )
        .hint("leave --format, --schema and --explain out, or ask one question"));
    }
    if !args.quotes {
        app.kb()?.check_llm()?;
    }
    let (filter, sources) = checked(app, &args.filter)?;
    let mut session = Session::new(app, filter, sources);
    session.quotes = args.quotes;
    session.is_loose = true;
    answer_lines(&mut session, &mut std::io::Cursor::new(input).chain(std::io::stdin().lock()))
}
