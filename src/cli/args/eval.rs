//! `eval`, with what its commands take.

use clap::{Args, Subcommand};

use super::FilterArgs;

/// `eval …`.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Ask the questions of a set, and say how good hits and answers are
    #[command(
        after_help = "Examples:\n  wellread eval run eval/sample/questions.jsonl --source eval/sample/feed.xml\n  wellread eval run set.jsonl --retrieval-only --set retrieval.fusion=dense\n  wellread eval run set.jsonl --gate eval/thresholds.toml\n\nAn interrupted run is resumed. Exits with 1 if --gate finds a threshold missed."
    )]
    Run(EvalRun),
    /// Check that a set is well-formed and its gold is in the library
    #[command(
        after_help = "Example:\n  wellread eval check eval/sample/questions.jsonl --source eval/sample/feed.xml"
    )]
    Check(EvalCheck),
    /// Say whether two runs differ, metric by metric
    #[command(
        after_help = "Example:\n  wellread eval compare RUN_A RUN_B --fail-on-regression\n\nExits with 1 if --fail-on-regression finds B worse in a metric."
    )]
    Compare(EvalCompare),
    /// Let an LLM judge a run's answers, and see how far it agrees with people
    #[command(
        after_help = "Examples:\n  wellread eval judge RUN\n  wellread eval judge RUN --model models/larger.gguf\n\nNo threshold and no comparison rests on a judge."
    )]
    Judge(EvalJudge),
    /// Plant texts that try to instruct the LLM in articles and questions, and see what happens
    #[command(
        after_help = "Examples:\n  wellread eval canaries\n  wellread eval canaries --strings strings.jsonl --limit 50\n\nExits with 1 if a text is obeyed, a link or citation is forged, or a benign text prevents an answer."
    )]
    Canaries(EvalCanaries),
    /// Check labelled claims as `cite` does, and say how often that is right
    #[command(
        after_help = "Example:\n  wellread eval claims eval/hard/claims.jsonl --source eval/sample/feed.xml"
    )]
    Claims(EvalClaims),
    /// Ask follow-up questions as typed, as rewritten by wellread, and as rewritten by a person
    #[command(
        after_help = "Examples:\n  wellread eval dialogues eval/hard/dialogues.jsonl --source eval/sample/feed.xml --source feed.xml\n  wellread eval dialogues set.jsonl --llm"
    )]
    Dialogues(EvalDialogues),
    /// Fit the chance that the articles answer, from runs with answers
    #[command(
        after_help = "Examples:\n  wellread eval calibrate RUN RUN --test RUN\n  wellread eval calibrate RUN RUN --signals cosine,names\n  wellread eval calibrate RUN --test RUN --sentences eval/hard/verdicts.jsonl\n\nThe second uses only what is known before the LLM is asked. Each run is also tested with a fit to\nthe others. The shipped weights were fitted this way (eval/attempts.md)."
    )]
    Calibrate(EvalCalibrate),
    /// Make questions from the answers that `feedback` calls good or bad
    #[command(
        after_help = "Examples:\n  wellread eval from-feedback -o mine.jsonl\n  wellread eval check mine.jsonl\n\nThose of type \"bad\" are for you to complete: their gold is what was shown, and may be wrong."
    )]
    FromFeedback(EvalFromFeedback),
    /// List runs
    #[command(after_help = "Example:\n  wellread eval list")]
    List,
    /// Show a run's metrics
    #[command(
        after_help = "Examples:\n  wellread eval show RUN\n  wellread eval show RUN --trec out/"
    )]
    Show(EvalShow),
    /// Import a corpus with queries and judgements
    #[command(subcommand)]
    Import(EvalImport),
    /// Make questions from titles, headings and links, without an LLM
    #[command(
        after_help = "Example:\n  wellread eval generate --source eval/sample/feed.xml > generated.jsonl"
    )]
    Generate(EvalGenerate),
}

/// `eval run`.
#[derive(Args, Debug)]
pub struct EvalRun {
    /// The question set (JSON lines)
    #[arg(value_name = "SET")]
    pub questions: std::path::PathBuf,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Look at hits alone; no LLM
    #[arg(long)]
    pub retrieval_only: bool,
    /// Only the questions of this split, as dev or test
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// Only the first questions
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Only this many questions, drawn by a fixed seed
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    pub sample: Option<usize>,
    /// Start over, even if a run with these settings was interrupted
    #[arg(long)]
    pub fresh: bool,
    /// Compare with the thresholds of a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "eval/thresholds.toml")]
    pub gate: Option<std::path::PathBuf>,
}

/// `eval check`.
#[derive(Args, Debug)]
pub struct EvalCheck {
    /// The question set (JSON lines)
    #[arg(value_name = "SET")]
    pub questions: std::path::PathBuf,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `eval from-feedback`.
#[derive(Args, Debug)]
pub struct EvalFromFeedback {
    /// The new file that is written; standard output if none is named
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,
}

/// `eval claims`.
#[derive(Args, Debug)]
pub struct EvalClaims {
    /// The claims (JSON lines)
    #[arg(value_name = "FILE")]
    pub claims: std::path::PathBuf,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only the claims of this split, as dev or test
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
}

/// `eval compare`.
#[derive(Args, Debug)]
pub struct EvalCompare {
    /// A run: its folder, or its name in `eval list`
    pub a: String,
    /// Another
    pub b: String,
    /// Exit with 1 if B is worse in a metric, and not by chance
    #[arg(long)]
    pub fail_on_regression: bool,
    /// Write both side by side as one HTML file
    #[arg(long, value_name = "FILE")]
    pub report: Option<std::path::PathBuf>,
}

/// `eval canaries`.
#[derive(Args, Debug)]
pub struct EvalCanaries {
    /// The texts (JSON lines); those that wellread ships if none are named
    #[arg(long, value_name = "FILE")]
    pub strings: Option<std::path::PathBuf>,
    /// Only this many cases, drawn by a fixed seed; benign controls that the LLM sees are always
    /// among them: each once or until they are a quarter, and half at the most
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// `eval dialogues`.
#[derive(Args, Debug)]
pub struct EvalDialogues {
    /// The dialogues (JSON lines)
    #[arg(value_name = "FILE")]
    pub dialogues: std::path::PathBuf,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Ask the LLM where the rules can't complete a question
    #[arg(long)]
    pub llm: bool,
}

/// `eval judge`.
#[derive(Args, Debug)]
pub struct EvalJudge {
    /// A run: its folder, or its name in `eval list`
    pub run: String,
    /// The judge, given like models.generator: a name, a GGUF file or one on the hub; by default the configured LLM
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
}

/// `eval show`.
#[derive(Args, Debug)]
pub struct EvalShow {
    /// A run: its folder, or its name in `eval list`
    pub run: String,
    /// Write its rankings and judgements for trec_eval into this folder
    #[arg(long, value_name = "FOLDER")]
    pub trec: Option<std::path::PathBuf>,
}

/// `eval calibrate`.
#[derive(Args, Debug)]
pub struct EvalCalibrate {
    /// Runs: their folders, or their names in `eval list`
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,
    /// Runs to test the fit on
    #[arg(long, value_name = "RUN")]
    pub test: Vec<String>,
    /// Fit how likely a sentence holds instead, to what people read of these runs' answers
    #[arg(long, value_name = "VERDICTS", conflicts_with = "signals")]
    pub sentences: Option<std::path::PathBuf>,
    /// What to weigh
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "cosine,names,verdict",
        value_parser = clap::builder::PossibleValuesParser::new(crate::answer::Signals::NAMES)
    )]
    pub signals: Vec<String>,
}

/// `eval import …`.
#[derive(Debug, Subcommand)]
pub enum EvalImport {
    /// BEIR's layout: corpus.jsonl, queries.jsonl, qrels/test.tsv
    #[command(
        after_help = "Example:\n  wellread eval import beir scifact/ > scifact.jsonl\n  wellread eval run scifact.jsonl --source beir:scifact --retrieval-only"
    )]
    Beir {
        /// The folder
        folder: std::path::PathBuf,
        /// Which judgements: qrels/NAME.tsv
        #[arg(long, value_name = "NAME", default_value = "test")]
        qrels: String,
        /// Import the documents of the first queries, and as many others
        #[arg(long, value_name = "QUERIES")]
        slice: Option<usize>,
    },
}

/// `eval generate`.
#[derive(Args, Debug)]
pub struct EvalGenerate {
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
}
