//! Input rows of the language model: a text id and four codes each, or what an encoder made.

use burn::module::Module;
use burn::tensor::{DType, Int, Tensor, TensorData};
use caracal_kernels::layers::Embedding;
use caracal_kernels::{LoadError, Weights};

/// Text id and code that stand for nothing.
pub const PADDING_ID: u32 = 3;

/// Multi-codebook input embedding: the audio tables. The text table belongs to the language model.
#[derive(Module, Debug)]
pub struct CodecEmbedding {
    /// One per codebook, `[codes, hidden]`.
    pub audio_embeddings: Vec<Embedding>,
}

/// Rows of encoder output that take the place of one placeholder id.
#[derive(Clone, Debug)]
pub struct Features {
    /// The placeholder's text id.
    pub placeholder: u32,
    /// `[count, hidden]`, in reading order.
    pub rows: Tensor<2>,
}

/// Why prompt rows cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddingError {
    /// A text id has no row.
    #[error("text id {id} at position {position}: expected an id below {entries}. Take the tokenizer of the same release as the weights.")]
    TextId {
        /// Which row of the input.
        position: usize,
        /// The id.
        id: u32,
        /// Rows of the table.
        entries: usize,
    },
    /// A code has no row.
    #[error("code {code} of codebook {codebook} at position {position}: expected a code below {entries}")]
    Code {
        /// Which row of the input.
        position: usize,
        /// Which of the codes.
        codebook: usize,
        /// The code.
        code: u32,
        /// Rows of the table.
        entries: usize,
    },
    /// Another number of codes than of codebooks times ids.
    #[error("{codes} codes for {ids} positions: expected {expected}, one per codebook")]
    CodeCount {
        /// Codes given.
        codes: usize,
        /// Text ids given.
        ids: usize,
        /// Codes that fit.
        expected: usize,
    },
    /// Another number of encoder rows than of placeholders.
    #[error(
        "{rows} encoder rows for {placeholders} placeholders of id {placeholder}. The counts of the prompt and of the encoder disagree."
    )]
    FeatureCount {
        /// The placeholder's text id.
        placeholder: u32,
        /// Positions that hold it.
        placeholders: usize,
        /// Rows given.
        rows: usize,
    },
    /// Encoder rows of another width than the language model's.
    #[error(
        "encoder rows of width {found} for placeholder {placeholder}: the language model takes {expected}. The projector belongs to another model."
    )]
    FeatureWidth {
        /// The placeholder's text id.
        placeholder: u32,
        /// Width given.
        found: usize,
        /// Width of the model.
        expected: usize,
    },
}

impl CodecEmbedding {
    /// Loads `audio_embeddings.{k}` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, codebooks: usize, codes: usize, hidden: usize) -> Result<Self, LoadError> {
        let table = |k| Embedding::load(&weights.at("audio_embeddings").at(k), codes, hidden);
        Ok(Self { audio_embeddings: (0..codebooks).map(table).collect::<Result<_, _>>()? })
    }

    /// Rows of a prompt. The text row comes first and each code's row is added to it in order, rounded to the tables'
    /// format after each; padding adds nothing, but a position that is padding throughout is the text row of padding.
    /// Placeholders are then replaced by encoder rows.
    ///
    /// # Shapes
    /// ids: `[positions]`, codes: `[positions, codebooks]` → `[positions, hidden]`
    ///
    /// # Errors
    /// [`EmbeddingError`] naming the position.
    pub fn prompt(&self, text: &Embedding, ids: &[u32], codes: &[u32], features: &[Features]) -> Result<Tensor<2>, EmbeddingError> {
        let codebooks = self.audio_embeddings.len();
        if codes.len() != ids.len() * codebooks {
            return Err(EmbeddingError::CodeCount { codes: codes.len(), ids: ids.len(), expected: ids.len() * codebooks });
        }
        self.check_ids(text, ids.iter().copied().map(Some))?;
        self.check_codes(codes.iter().copied().map(Some))?;
        let empty = |row: usize| codes[row * codebooks..(row + 1) * codebooks].iter().all(|code| *code == PADDING_ID);
        let mut rows = masked(text, ids.iter().enumerate().map(|(row, id)| (*id != PADDING_ID || empty(row)).then_some(*id)));
        for (book, table) in self.audio_embeddings.iter().enumerate() {
            let column = codes.iter().skip(book).step_by(codebooks);
            rows = rows + masked(table, column.map(|code| (*code != PADDING_ID).then_some(*code)));
        }
        features.iter().try_fold(rows, |rows, features| replace(rows, ids, features))
    }

    /// Rows of a generation step: the codes' rows are added up first and the text row last. `None` adds nothing; here
    /// padding is an id like any other.
    ///
    /// # Shapes
    /// text_ids: `[rows]`, codes: `[rows, codebooks]` → `[rows, hidden]`
    ///
    /// # Errors
    /// [`EmbeddingError`] naming the row.
    pub fn decode(&self, text: &Embedding, text_ids: &[Option<u32>], codes: &[Option<u32>]) -> Result<Tensor<2>, EmbeddingError> {
        let codebooks = self.audio_embeddings.len();
        if codes.len() != text_ids.len() * codebooks {
            return Err(EmbeddingError::CodeCount { codes: codes.len(), ids: text_ids.len(), expected: text_ids.len() * codebooks });
        }
        self.check_ids(text, text_ids.iter().copied())?;
        self.check_codes(codes.iter().copied())?;
        let books = self
            .audio_embeddings
            .iter()
            .enumerate()
            .map(|(book, table)| masked(table, codes.iter().skip(book).step_by(codebooks).copied()));
        let text = masked(text, text_ids.iter().copied());
        Ok(match books.reduce(|sum, rows| sum + rows) {
            Some(sum) => sum + text,
            None => text,
        })
    }

    fn check_ids(&self, text: &Embedding, ids: impl Iterator<Item = Option<u32>>) -> Result<(), EmbeddingError> {
        let entries = text.weight.dims()[0];
        match ids.enumerate().find(|(_, id)| id.is_some_and(|id| id as usize >= entries)) {
            Some((position, Some(id))) => Err(EmbeddingError::TextId { position, id, entries }),
            _ => Ok(()),
        }
    }

    fn check_codes(&self, codes: impl Iterator<Item = Option<u32>>) -> Result<(), EmbeddingError> {
        let codebooks = self.audio_embeddings.len();
        for (index, code) in codes.enumerate() {
            let entries = self.audio_embeddings[index % codebooks].weight.dims()[0];
            if let Some(code) = code.filter(|code| *code as usize >= entries) {
                return Err(EmbeddingError::Code { position: index / codebooks, codebook: index % codebooks, code, entries });
            }
        }
        Ok(())
    }
}

/// Rows of a table, zero for `None`.
fn masked(table: &Embedding, ids: impl Iterator<Item = Option<u32>>) -> Tensor<2> {
    let ids: Vec<Option<u32>> = ids.collect();
    let rows = table.forward(&ids.iter().map(|id| id.unwrap_or(0)).collect::<Vec<_>>());
    let mask: Vec<f32> = ids.iter().map(|id| f32::from(u8::from(id.is_some()))).collect();
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [ids.len(), 1]), (&rows.device(), DType::F32)).cast(rows.dtype());
    rows * mask
}

/// `rows` with those of placeholder ids taken from `features`, in order.
fn replace(rows: Tensor<2>, ids: &[u32], features: &Features) -> Result<Tensor<2>, EmbeddingError> {
    let Features { placeholder, rows: new } = features;
    let ([positions, expected], [count, found]) = (rows.dims(), new.dims());
    if found != expected {
        return Err(EmbeddingError::FeatureWidth { placeholder: *placeholder, found, expected });
    }
    let placeholders = ids.iter().filter(|id| *id == placeholder).count();
    if placeholders != count {
        return Err(EmbeddingError::FeatureCount { placeholder: *placeholder, placeholders, rows: count });
    }
    let mut next = positions as i32;
    let source: Vec<i32> = ids
        .iter()
        .enumerate()
        .map(|(row, id)| {
            if id == placeholder {
                next += 1;
                next - 1
            } else {
                row as i32
            }
        })
        .collect();
    let source = Tensor::<1, Int>::from_data(TensorData::new(source, [positions]), &rows.device());
    let new = if new.dtype() == rows.dtype() { new.clone() } else { new.clone().cast(rows.dtype()) };
    Ok(Tensor::cat(vec![rows, new], 0).select(0, source))
}
