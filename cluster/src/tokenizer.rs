//! The tokenizer file of a checkpoint.
//!
//! Before hop 8 and after hop 11. Marker strings are no tokens of the file but aliases of its reserved ones
//! ([`ALIASES`]). Source: LongCat-Flash-Omni tokenizer wrapper; Hugging Face `tokenizer.json` format.

use std::fs;
use std::path::{Path, PathBuf};

use caracal_shared::ids::ALIASES;
use caracal_shared::limits::TEXT_BYTES_MAX;
use caracal_shared::tokenize::{Tokenize, TokenizeError};

/// Bytes of a `tokenizer.json`: the largest published ones have 40 MB; more is another file by mistake.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A tokenizer file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerFileError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}. The model folder must hold the tokenizer.json of the same release as the weights.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// It is too large to be one.
    #[error("{}: {bytes} bytes are no tokenizer file, expected at most {FILE_BYTES_MAX}. Point to the tokenizer.json.", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is no tokenizer file.
    #[error("{}: not a usable tokenizer.json: {found}. Download it again, or point to the right one.", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        found: String,
    },
}

/// A loaded `tokenizer.json`.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    added: Vec<String>,
}

impl Tokenizer {
    /// Reads `path`: a `tokenizer.json`, or a folder that holds one.
    ///
    /// # Errors
    /// See [`TokenizerFileError`]. Whether it is the tokenizer of this model is for
    /// [`caracal_shared::tokenize::Markers::resolve`] to say.
    pub fn load(path: &Path) -> Result<Self, TokenizerFileError> {
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_path_buf() };
        let io = |source| TokenizerFileError::Io { file: file.clone(), source };
        let bytes = fs::metadata(&file).map_err(io)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(TokenizerFileError::TooLarge { file, bytes });
        }
        let text = fs::read(&file).map_err(io)?;
        let damaged = |e: tokenizers::Error| TokenizerFileError::Damaged { file: file.clone(), found: e.to_string() };
        let mut inner = tokenizers::Tokenizer::from_bytes(text).map_err(damaged)?;
        // A file may ask for cutting or filling up; a prompt has exactly the ids of its text.
        inner.with_truncation(None).map_err(damaged)?;
        inner.with_padding(None);
        let mut added: Vec<String> = inner.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
        added.sort_unstable();
        Ok(Self { inner, added })
    }

    /// Tokens of the file, added ones included.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}

impl Tokenize for Tokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TokenizeError::TooLong { bytes: text.len(), limit: TEXT_BYTES_MAX });
        }
        // Every marker begins with `<`; most texts have none, and need no copy.
        let encoding = if text.contains('<') {
            let aliased = ALIASES.iter().fold(text.to_string(), |text, (marker, alias)| text.replace(marker, alias));
            self.inner.encode_fast(aliased, false)
        } else {
            self.inner.encode_fast(text, false)
        };
        Ok(encoding.map_err(|e| TokenizeError::Failed(e.to_string()))?.get_ids().to_vec())
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizeError> {
        // The library drops ids that it does not know, which would hide a wrong model.
        if let Some(id) = ids.iter().find(|id| self.inner.id_to_token(**id).is_none()) {
            return Err(TokenizeError::UnknownId { id: *id, vocabulary: self.vocabulary() });
        }
        let text = self.inner.decode(ids, false).map_err(|e| TokenizeError::Failed(e.to_string()))?;
        Ok(ALIASES.iter().fold(text, |text, (marker, alias)| text.replace(alias, marker)))
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    fn added_tokens(&self) -> &[String] {
        &self.added
    }
}
