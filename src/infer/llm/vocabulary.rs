//! Text ⇄ token ids, by the tokenizer in a GGUF file. Stateless: what was encoded before changes
//! nothing.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::{self, DecoderWrapper};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{self, NormalizerWrapper};
use tokenizers::normalizers::{NFC, Prepend, Replace};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

/// How words are told apart before their bytes are joined to tokens. Of the files that the models
/// were published with.
mod patterns {
    pub(super) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    pub(super) const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    pub(super) const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
}

/// What a blank is written as in SentencePiece vocabularies.
const BLANK: &str = "▁";

/// A model's tokenizer. It takes what is said as plain text; special tokens come of the model's own
/// chat template alone.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// Tokens that are never text, by what they are written as.
    special: HashMap<String, u32>,
    /// Whether a special token takes the white space behind it.
    takes_space: bool,
    /// How tokens are written.
    spelling: Spelling,
}

/// How the bytes of a token stand in the file.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    /// A character for each byte (GPT-2).
    Bytes,
    /// As the text is, but for blanks and single bytes (SentencePiece).
    Pieces,
}

/// A text that goes into a prompt.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// Of the chat template: special tokens that are written in it are special.
    Template(&'a str),
    /// Said by somebody: plain text.
    Said(&'a str),
}

/// Tokens of a kind, by their number in `tokenizer.ggml.token_type`.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;

impl Vocabulary {
    /// # Errors
    /// What is missing or not known in the file's metadata.
    pub(super) fn from_gguf(content: &Content) -> Result<Vocabulary, String> {
        let meta = Metadata(content);
        let tokens = meta.texts("tokenizer.ggml.tokens")?;
        let architecture = meta.text("general.architecture").unwrap_or_default();
        let kind = meta.text("tokenizer.ggml.model").ok_or("it names no tokenizer")?;
        let special = meta.special(&tokens);
        let tokenizer = match kind {
            "gpt2" => {
                let default = match architecture {
                    "qwen2" | "qwen3" => "qwen2",
                    _ => "gpt-2",
                };
                let pre = meta.text("tokenizer.ggml.pre").unwrap_or(default);
                byte_level(&meta, &tokens, pre)?
            }
            "llama" => sentence_piece(&meta, &tokens, &special)?,
            other => return Err(format!("its tokenizer is of the kind \"{other}\"")),
        };
        let takes_space = kind == "llama" && architecture == "phi3";
        let spelling = if kind == "gpt2" { Spelling::Bytes } else { Spelling::Pieces };
        Vocabulary::new(tokenizer, special, takes_space, spelling)
    }

    fn new(
        mut tokenizer: Tokenizer,
        special: HashMap<String, u32>,
        takes_space: bool,
        spelling: Spelling,
    ) -> Result<Vocabulary, String> {
        let added = special.keys().map(|token| AddedToken::from(token.clone(), true));
        tokenizer.add_special_tokens(added).map_err(|error| error.to_string())?;
        // Otherwise "<|im_end|>" in an article would end the user's turn.
        tokenizer.set_encode_special_tokens(true);
        Ok(Vocabulary { tokenizer, special, takes_space, spelling })
    }

    /// The id of a token that is written so, whatever it is for.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// What a token is written as.
    pub(super) fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The bytes of each token by its id. Those of a special one begin with the byte 0xFF, which no
    /// text has; an id that stands for nothing has none.
    pub(super) fn bytes(&self) -> Vec<Vec<u8>> {
        let known = byte_characters();
        let of = |token: &str| {
            if self.special.contains_key(token) {
                return [&[0xff], token.as_bytes()].concat();
            }
            match self.spelling {
                Spelling::Bytes => token
                    .chars()
                    .flat_map(|char| match known.get(&char) {
                        Some(byte) => vec![*byte],
                        None => char.to_string().into_bytes(),
                    })
                    .collect(),
                Spelling::Pieces => match single_byte(token) {
                    Some(byte) => vec![byte],
                    None => token.replace(BLANK, " ").into_bytes(),
                },
            }
        };
        let mut bytes = Vec::new();
        for (token, id) in self.tokenizer.get_vocab(true) {
            let Ok(id) = usize::try_from(id) else { continue };
            if bytes.len() <= id {
                bytes.resize(id + 1, Vec::new());
            }
            bytes[id] = of(&token);
        }
        bytes
    }

    /// A text as plain text: no special token comes of it.
    pub(super) fn plain(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }

    /// A prompt of pieces. Text that no special token parts is encoded as one, whoever wrote it.
    pub(super) fn prompt(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, String> {
        let mut tokens = Vec::new();
        let mut text = String::new();
        let mut follows_special = false;
        for piece in pieces {
            let mut rest = match piece {
                Piece::Template(text) => *text,
                Piece::Said(said) => {
                    text.push_str(said);
                    continue;
                }
            };
            while let Some((at, token, id)) = self.first_special(rest) {
                text.push_str(&rest[..at]);
                self.flush(&mut tokens, &mut text, follows_special)?;
                tokens.push(id);
                follows_special = true;
                rest = &rest[at + token.len()..];
            }
            text.push_str(rest);
        }
        self.flush(&mut tokens, &mut text, follows_special)?;
        Ok(tokens)
    }

    fn flush(
        &self,
        tokens: &mut Vec<u32>,
        text: &mut String,
        follows_special: bool,
    ) -> Result<(), String> {
        let plain =
            if follows_special && self.takes_space { text.trim_start() } else { text.as_str() };
        if !plain.is_empty() {
            tokens.extend(self.plain(plain)?);
        }
        text.clear();
        Ok(())
    }

    /// The first special token in a text; of several there, the longest.
    fn first_special(&self, text: &str) -> Option<(usize, &str, u32)> {
        self.special
            .iter()
            .filter_map(|(token, id)| Some((text.find(token.as_str())?, token.as_str(), *id)))
            .min_by_key(|(at, token, _)| (*at, std::cmp::Reverse(token.len())))
    }

    /// The text of tokens, special ones left out.
    pub(super) fn decode(&self, tokens: &[u32]) -> Result<String, String> {
        self.tokenizer.decode(tokens, true).map_err(|error| error.to_string())
    }
}

/// The byte that a SentencePiece token such as `<0x0A>` stands for.
fn single_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// The bytes that characters stand for in byte-level vocabularies: printable ones for themselves, the
/// others in their order from U+0100 on.
fn byte_characters() -> HashMap<char, u8> {
    let is_own = |byte: &u8| matches!(*byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(|byte| !is_own(byte)).zip('\u{100}'..);
    let own = (0..=u8::MAX).filter(is_own).map(|byte| (char::from(byte), byte));
    own.chain(others.map(|(byte, char)| (char, byte))).collect()
}

struct Metadata<'a>(&'a Content);

impl<'a> Metadata<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        match self.0.metadata.get(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    fn bool(&self, key: &str) -> Option<bool> {
        match self.0.metadata.get(key) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    fn list(&self, key: &str) -> Result<&'a [Value], String> {
        match self.0.metadata.get(key) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(format!("{key} is missing")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<&'a str>, String> {
        let text = |value: &'a Value| match value {
            Value::String(text) => Ok(text.as_str()),
            _ => Err(format!("{key} holds something that is not text")),
        };
        self.list(key)?.iter().map(text).collect()
    }

    /// Kinds of the tokens; a file without them has none but normal ones.
    fn kinds(&self) -> Vec<i64> {
        let kinds = self.list("tokenizer.ggml.token_type").unwrap_or_default();
        kinds.iter().map(|kind| whole(kind).unwrap_or_default()).collect()
    }

    /// Tokens that must not come of plain text.
    fn special(&self, tokens: &[&str]) -> HashMap<String, u32> {
        let named = ["bos", "eos", "eot", "padding", "pad", "seperator", "unknown", "unk"]
            .into_iter()
            .filter_map(|name| {
                whole(self.0.metadata.get(&format!("tokenizer.ggml.{name}_token_id"))?)
            })
            .filter_map(|id| usize::try_from(id).ok());
        let kinds = self.kinds();
        let by_kind = tokens.iter().enumerate().filter_map(|(id, token)| {
            let is_blank = token.chars().all(|char| char.is_whitespace() || char == '▁');
            match *kinds.get(id)? {
                UNKNOWN | CONTROL | UNUSED => Some(id),
                // Runs of blanks and line breaks are text; tags of tools and the like are not.
                USER_DEFINED => (!is_blank).then_some(id),
                _ => None,
            }
        });
        by_kind
            .chain(named)
            .filter_map(|id| Some(((*tokens.get(id)?).to_owned(), u32::try_from(id).ok()?)))
            .filter(|(token, _)| !token.is_empty())
            .collect()
    }
}

/// The value of a whole number of any size.
pub(super) fn whole(value: &Value) -> Option<i64> {
    Some(match value {
        Value::U8(n) => i64::from(*n),
        Value::I8(n) => i64::from(*n),
        Value::U16(n) => i64::from(*n),
        Value::I16(n) => i64::from(*n),
        Value::U32(n) => i64::from(*n),
        Value::I32(n) => i64::from(*n),
        Value::U64(n) => i64::try_from(*n).ok()?,
        Value::I64(n) => *n,
        _ => return None,
    })
}

fn ids(tokens: &[&str]) -> Result<Vocab, String> {
    let number = |id: usize| u32::try_from(id).map_err(|_| "it has too many tokens".to_owned());
    tokens.iter().enumerate().map(|(id, token)| Ok(((*token).to_owned(), number(id)?))).collect()
}

/// Byte-level BPE, as GPT-2 and most models since have it.
fn byte_level(meta: &Metadata<'_>, tokens: &[&str], pre: &str) -> Result<Tokenizer, String> {
    let merges = meta
        .texts("tokenizer.ggml.merges")?
        .into_iter()
        .map(|merge| {
            let (left, right) =
                merge.split_once(' ').ok_or_else(|| format!("the merge \"{merge}\" is no pair"))?;
            Ok((left.to_owned(), right.to_owned()))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let by = |pattern: &str| -> Result<PreTokenizerWrapper, String> {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
            .map_err(|error| error.to_string())?;
        Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, false, false).into()]).into())
    };
    let words: PreTokenizerWrapper = match pre {
        "qwen2" | "deepseek-r1-qwen" => by(patterns::QWEN2)?,
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "smaug-bpe" | "dbrx" | "lfm2" => {
            by(patterns::LLAMA3)?
        }
        "gpt-4o" => by(patterns::GPT4O)?,
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => {
            Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, false, true).into()])
                .into()
        }
        "gpt-2" | "gpt2" | "default" => ByteLevel::new(false, false, true).into(),
        other => return Err(format!("its tokenizer splits words by \"{other}\"")),
    };
    let model = BPE::builder()
        .vocab_and_merges(ids(tokens)?, merges)
        .ignore_merges(matches!(pre, "llama3" | "llama-v3" | "llama-bpe"))
        .build()
        .map_err(|error| error.to_string())?;
    let mut tokenizer = Tokenizer::new(model);
    if matches!(pre, "qwen2") {
        tokenizer
            .with_normalizer(Some(NormalizerWrapper::from(NFC)))
            .map_err(|error| error.to_string())?;
    }
    tokenizer.with_pre_tokenizer(Some(words));
    tokenizer.with_decoder(Some(DecoderWrapper::from(ByteLevel::new(false, false, false))));
    Ok(tokenizer)
}

/// BPE by SentencePiece, as Llama 2, Gemma and Phi-3 have it: pieces have scores, and of two that
/// could be joined those are whose whole has the higher one.
fn sentence_piece(
    meta: &Metadata<'_>,
    tokens: &[&str],
    special: &HashMap<String, u32>,
) -> Result<Tokenizer, String> {
    let scores = meta.list("tokenizer.ggml.scores")?;
    let ids = ids(tokens)?;
    let mut merges = Vec::new();
    for (token, score) in tokens.iter().zip(scores) {
        let Value::F32(score) = score else { return Err("a score is no number".to_owned()) };
        if special.contains_key(*token) {
            continue;
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if ids.contains_key(left) && ids.contains_key(right) {
                merges.push((*score, left, right));
            }
        }
    }
    // Equal scores: the order in which pieces stand, as they were pushed.
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let merges = merges
        .into_iter()
        .map(|(_, left, right)| (left.to_owned(), right.to_owned()))
        .collect::<Vec<_>>();
    let unknown = meta
        .0
        .metadata
        .get("tokenizer.ggml.unknown_token_id")
        .and_then(whole)
        .and_then(|id| tokens.get(usize::try_from(id).ok()?).copied())
        .unwrap_or("<unk>");
    let model = BPE::builder()
        .vocab_and_merges(ids, merges)
        .unk_token(unknown.to_owned())
        .byte_fallback(true)
        .fuse_unk(true)
        .build()
        .map_err(|error| error.to_string())?;
    let mut tokenizer = Tokenizer::new(model);
    let failed = |error: tokenizers::Error| error.to_string();
    let blanks = Replace::new(" ", BLANK).map_err(failed)?;
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if meta.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        steps.push(Prepend::new(BLANK.to_owned()).into());
    }
    steps.push(blanks.into());
    let normalizer = NormalizerWrapper::from(normalizers::Sequence::new(steps));
    tokenizer.with_normalizer(Some(normalizer)).map_err(failed)?;
    tokenizer.with_decoder(Some(DecoderWrapper::from(decoders::sequence::Sequence::new(vec![
        Replace::new(BLANK, " ").map_err(failed)?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ]))));
    Ok(tokenizer)
}
