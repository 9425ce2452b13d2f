//! The audio heads: one step's four codes from one hidden state, each head seeing the codes before it.
//!
//! acc = h; head k: acc += embedding of the code of head k - 1, logits = acc Wᵀ, penalty, argmax. The published model
//! shifts the acoustic codes by one step, so those of step t complete the frame whose semantic code came at t - 1.

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use caracal_kernels::layers::{Embedding, Linear};
use caracal_kernels::{LoadError, Weights};

use super::repetition_penalty::{RecentIds, RepetitionPenalty};

/// Four-codebook output.
#[derive(Module, Debug)]
pub struct CodecHead {
    /// One per codebook, `[codes, hidden]`.
    pub audio_output_layers: Vec<Linear>,
    /// Of the code of each codebook but the last, `[codes, hidden]`. Not the input tables.
    pub embedding: Vec<Embedding>,
}

/// What one head computed for one row, for whoever looks.
#[derive(Clone, Copy, Debug)]
pub struct HeadLogits<'a> {
    /// Which head.
    pub head: usize,
    /// Which row.
    pub row: usize,
    /// As computed.
    pub raw: &'a [f32],
    /// After the penalty.
    pub penalised: &'a [f32],
}

impl CodecHead {
    /// Loads `audio_output_layers.{k}` and `embedding.{k}` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, codebooks: usize, codes: usize, hidden: usize) -> Result<Self, LoadError> {
        let head = |k: usize| Linear::load(&weights.at("audio_output_layers").at(k), hidden, codes, false);
        let table = |k: usize| Embedding::load(&weights.at("embedding").at(k), codes, hidden);
        Ok(Self {
            audio_output_layers: (0..codebooks).map(head).collect::<Result<_, _>>()?,
            embedding: (1..codebooks).map(|k| table(k - 1)).collect::<Result<_, _>>()?,
        })
    }

    /// Number of codebooks.
    pub fn codebooks(&self) -> usize {
        self.audio_output_layers.len()
    }

    /// Chooses the codes of one step for a batch, greedily. `past[row][k]` is what head k recorded for that row.
    ///
    /// # Shapes
    /// hidden: `[rows, hidden]`, after the last norm → `[rows][codebooks]`
    ///
    /// # Panics
    /// When `past` does not fit the rows and codebooks.
    pub fn choose(
        &self,
        hidden: Tensor<2>,
        past: &[&[RecentIds]],
        penalty: RepetitionPenalty,
        mut saw: impl FnMut(HeadLogits),
    ) -> Vec<Vec<u32>> {
        assert_eq!(past.len(), hidden.dims()[0], "codec head: one history per row");
        let mut codes: Vec<Vec<u32>> = vec![Vec::new(); past.len()];
        let mut sum = hidden;
        for (head, layer) in self.audio_output_layers.iter().enumerate() {
            if head > 0 {
                let before: Vec<u32> = codes.iter().map(|codes| codes[head - 1]).collect();
                sum = sum + self.embedding[head - 1].forward(&before);
            }
            let logits: Vec<f32> = layer.forward(sum.clone()).into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for");
            let width = layer.weight.dims()[0];
            for (row, raw) in logits.chunks_exact(width).enumerate() {
                let mut penalised = raw.to_vec();
                penalty.apply(past[row][head].iter(), &mut penalised);
                saw(HeadLogits { head, row, raw, penalised: &penalised });
                codes[row].push(argmax(&penalised));
            }
        }
        codes
    }

    /// Logits of all heads where the codes are given: for training.
    ///
    /// # Shapes
    /// hidden: `[rows, hidden]`, codes: `[rows][codebooks]` (the last codebook's are not read) → one `[rows, codes]` per
    /// codebook
    ///
    /// # Panics
    /// When a code lies outside its table.
    pub fn forward(&self, hidden: Tensor<2>, codes: &[Vec<u32>]) -> Vec<Tensor<2>> {
        let mut sum = hidden;
        let heads = self.audio_output_layers.iter().enumerate().map(|(head, layer)| {
            if head > 0 {
                let before: Vec<u32> = codes.iter().map(|codes| codes[head - 1]).collect();
                sum = sum.clone() + self.embedding[head - 1].forward(&before);
            }
            layer.forward(sum.clone())
        });
        heads.collect()
    }
}

/// Index of the largest, the lower one on ties.
pub fn argmax(logits: &[f32]) -> u32 {
    let better = |best: usize, at: usize| if logits[at] > logits[best] { at } else { best };
    (0..logits.len()).fold(0, better) as u32
}
