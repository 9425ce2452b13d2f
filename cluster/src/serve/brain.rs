//! A model folder as node and executor: everything that a session needs of a model.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use caracal_edge::codec::DecoderConfig;
use caracal_edge::identity::model_identity;
use caracal_kernels::LoadError;
use caracal_shared::limits::REPLY_STEPS_MAX;
use caracal_shared::reply::CODEBOOKS;
use caracal_shared::session::LiveTemplate;
use caracal_shared::tokenize::TokenizeError;

use crate::admission::Admission;
use crate::engine::{BurnEngine, CacheLimits};
use crate::executor::Executor;
use crate::model::{ModelError, ModelFolder};
use crate::node::Node;
use crate::scheduler::Blocks;

/// Codes that 13 bits can name.
const WIRE_CODES: usize = 1 << 13;

/// How much a cluster serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Positions of one cache block.
    pub block_tokens: usize,
    /// Cache blocks in all.
    pub blocks: usize,
}

impl Capacity {
    /// Sessions that each may fill `context` positions.
    pub fn of(sessions: usize, block_tokens: usize, context: usize) -> Self {
        Self { sessions, block_tokens, blocks: sessions * context.div_ceil(block_tokens) }
    }
}

/// A model cannot serve.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the error of the module that it names, and says what to do")]
pub enum BrainError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error("the model folder cannot be read: {0}")]
    Folder(#[from] std::io::Error),
    #[error("the codec has {found} codes in a codebook; the wire carries codes of 13 bits, so at most {WIRE_CODES}.")]
    Codes { found: usize },
}

/// Loads what answers. `tokens` are the device tokens; the context of a session is that of the model, or `context` if
/// that is less.
///
/// # Errors
/// [`BrainError`] naming the file.
pub fn load(
    folder: &Path,
    device: &Device,
    tokens: Vec<String>,
    capacity: Capacity,
    context: usize,
) -> Result<(Node, Executor<BurnEngine>), BrainError> {
    let model = ModelFolder::open(folder, device)?;
    let (text, codec) = model.input_embedding()?;
    let head = model.codec_head(codec.audio_embeddings[0].weight.dims()[0])?;
    let hearing = model.hearing()?;
    let decoder = DecoderConfig::read(&folder.join("audio_codec").join("config.yaml"))?;
    let acoustic = decoder.codebook_size * decoder.codebook_size;
    let largest = decoder.semantic_codes.max(acoustic);
    if largest > WIRE_CODES {
        return Err(BrainError::Codes { found: largest });
    }
    let limits = CacheLimits { block_tokens: capacity.block_tokens, blocks: capacity.blocks, sessions: capacity.sessions };
    let engine = BurnEngine::new(&model.config, model.language_model()?, limits);
    let mut code_sizes = [acoustic as u32; CODEBOOKS];
    code_sizes[0] = decoder.semantic_codes as u32;
    let context = context.min(model.config.max_position_embeddings) as u32;
    let admission = Admission {
        tokens,
        model: model_identity(folder)?,
        width: model.config.hidden_size as u32,
        hidden_width: Some(hearing.encoder.hidden_width() as u32),
        template: LiveTemplate::new(Arc::new(model.tokenizer))?,
        code_sizes,
        context,
        reply_steps: REPLY_STEPS_MAX,
    };
    let blocks = Blocks { tokens: capacity.block_tokens as u32, total: capacity.blocks as u32 };
    let executor = Executor::new(engine, text, codec, head, Some((hearing.encoder, hearing.projector)));
    Ok((Node::new(admission, blocks, capacity.sessions), executor))
}
