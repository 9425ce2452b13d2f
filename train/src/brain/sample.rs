//! A conversation as rows, and what each row should predict.
//!
//! The rows come from the very assembly that a running session uses, spoken answers with the one-step offset included.
//! A row predicts the text id and the codes of the row after it wherever that row belongs to an answer.

use anyhow::{Context, Result};
use caracal_cluster::tokenizer::Tokenizer;
use caracal_shared::ids::{CODE_PAD, TEXT_PAD};
use caracal_shared::prompt::{Embeddings, Item, Message, PromptOptions, Role, Row, assemble};
use caracal_shared::reply::CODEBOOKS;
use caracal_shared::tokenize::Markers;

/// Role id of rows that belong to an answer.
const ANSWERING: u8 = 3;

/// What a row should predict; `None` where nothing is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Next text id.
    pub text: Option<u32>,
    /// Next codes. The semantic one is there whenever any is.
    pub codes: [Option<u32>; CODEBOOKS],
    /// Whether the text has speech beside it.
    pub spoken: bool,
}

/// Encoder rows that take the places of placeholders, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Perceived {
    /// Output of the audio encoder, before the projector: `[tokens, heard]`.
    pub audio: Vec<f32>,
    /// Output of the vision projector: `[tokens, WIDTH]`.
    pub image: Vec<f32>,
}

/// Rows, targets and what is perceived.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the model reads.
    pub rows: Vec<Row>,
    /// What each row predicts.
    pub targets: Vec<Target>,
    /// What fills the placeholders.
    pub perceived: Perceived,
}

/// Makes samples with one tokenizer.
pub struct Sampler {
    tokenizer: Tokenizer,
    markers: Markers,
}

impl Sampler {
    /// Reads the tokenizer of a model folder.
    ///
    /// # Errors
    /// When it is none of this model.
    pub fn open(folder: &std::path::Path) -> Result<Self> {
        let tokenizer = Tokenizer::load(folder)?;
        let markers = Markers::resolve(&tokenizer)?;
        Ok(Self { tokenizer, markers })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Ids of the markers.
    pub fn markers(&self) -> &Markers {
        &self.markers
    }

    /// A whole conversation with its answers.
    ///
    /// # Errors
    /// When an item is not allowed where it stands, or the perceived rows do not fit the placeholders.
    pub fn sample(&self, messages: &[Message], perceived: Perceived, heard: usize, width: usize) -> Result<Sample> {
        let options = PromptOptions { generation_prefix: false, ..PromptOptions::default() };
        let prompt = assemble(&self.tokenizer, &self.markers, messages, &options)?;
        for (kind, found) in [(Embeddings::Audio, perceived.audio.len() / heard), (Embeddings::Image, perceived.image.len() / width)] {
            anyhow::ensure!(prompt.wanted(kind) == found, "{found} encoder rows for {} placeholders ({kind:?})", prompt.wanted(kind));
        }
        let mut targets = vec![Target::default(); prompt.rows.len()];
        for next in 1..prompt.rows.len() {
            if prompt.roles[next] == ANSWERING {
                targets[next - 1] = target(&prompt.rows[next]);
            }
        }
        Ok(Sample { rows: prompt.rows, targets, perceived })
    }

    /// Rows up to and with the generation prefix.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn prompt(&self, messages: &[Message], voice: bool) -> Result<Vec<Row>> {
        let options = PromptOptions { voice_chat: voice, ..PromptOptions::default() };
        Ok(assemble(&self.tokenizer, &self.markers, messages, &options).context("the prompt cannot be assembled")?.rows)
    }
}

fn target(row: &Row) -> Target {
    let spoken = row.codes[0] != CODE_PAD;
    Target { text: (row.text != TEXT_PAD).then_some(row.text), codes: row.codes.map(|code| (code != CODE_PAD).then_some(code)), spoken }
}

/// A user's turn in writing.
pub fn typed(text: &str) -> Message {
    Message { role: Role::User, items: vec![Item::Text(text.to_string())] }
}

/// An answer in writing.
pub fn answer(text: &str) -> Message {
    Message { role: Role::Assistant, items: vec![Item::Text(text.to_string())] }
}
