//! Transposed convolution as a plain one whose outputs are the phases of each input row.
//!
//! A kernel as wide as the stride touches no neighbour: one linear map. A kernel twice as wide overlaps the block
//! before; its full output is one block longer than the input, and the published padding drops rows at both ends.
//!
//! Source: LongCat-Audio-Codec, `networks/decoders`; Zeghidour et al., SoundStream.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use caracal_kernels::ops::{Conv1dShape, ConvLayout, compact, conv1d};
use caracal_kernels::weights::Init;
use caracal_kernels::{LoadError, Weights};

use super::stream_conv::{HeldRows, Padding, held_bytes, keep_from};

/// Makes `stride` rows of each.
#[derive(Module, Debug)]
pub struct Upsample {
    /// Panels of [`ConvLayout::Transposed`].
    pub weight: Param<Tensor<3>>,
    /// `[channels]`
    pub bias: Param<Tensor<1>>,
    /// Channels in.
    pub inputs: usize,
    /// Rows out for each row in.
    pub stride: usize,
    /// 1, or 2 where neighbouring blocks overlap.
    pub taps: usize,
    /// Rows dropped before the first output.
    pub lead: usize,
}

/// What an [`Upsample`] still needs.
#[derive(Clone, Debug)]
pub struct UpsampleState {
    last: HeldRows,
    to_drop: usize,
}

impl Upsample {
    /// Loads `weight_g`, `weight_v` and `bias` below `weights`. The weight norm is per input channel.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, inputs: usize, channels: usize, stride: usize, padding: Padding) -> Result<Self, LoadError> {
        let (taps, lead) = match padding {
            Padding::Causal => (1, 0),
            Padding::Symmetric => (2, stride.div_ceil(2)),
        };
        let init = Init::Uniform(1.0 / ((inputs * taps) as f32).sqrt());
        let weight = weights.convolution("weight", ConvLayout::Transposed { inputs, channels, kernel: taps * stride, stride }, init)?;
        Ok(Self { weight, bias: weights.param("bias", [channels], init)?, inputs, stride, taps, lead })
    }

    /// What a stream holds before its first row.
    pub fn start(&self) -> UpsampleState {
        UpsampleState { last: self.zero_row(), to_drop: self.lead }
    }

    /// Takes rows; gives `stride` rows for each, `lead` of them late. `end` says that no row follows.
    pub fn advance(&self, state: &mut UpsampleState, x: Option<Tensor<2>>, end: bool) -> Option<Tensor<2>> {
        let overhang = if end { self.zero_row() } else { None };
        let ends = overhang.is_some();
        let parts: Vec<_> = [state.last.take(), x, overhang].into_iter().flatten().collect();
        if parts.is_empty() {
            return None;
        }
        let rows = Tensor::cat(parts, 0);
        let bias = self.bias.val();
        let [channels] = bias.dims();
        let shape = Conv1dShape { outputs: self.stride * channels, taps: self.taps, dilation: 1, stride: 1 };
        let ready = shape.rows_out(rows.dims()[0]);
        state.last = keep_from(&rows, ready);
        if ready == 0 {
            return None;
        }
        let y = conv1d(rows, self.weight.val(), bias.repeat_dim(0, self.stride), shape).reshape([ready * self.stride, channels]);
        let from = std::mem::take(&mut state.to_drop);
        // The block after the last row belongs to the output only as far as the lead pushed it.
        let to = if ends { ready * self.stride - (self.stride - self.lead) } else { ready * self.stride };
        if (from, to) == (0, ready * self.stride) { Some(y) } else { (from < to).then(|| compact(y.slice_dim(0, from..to))) }
    }

    /// The neighbour of the first and of the last row, where there is an overlap.
    fn zero_row(&self) -> HeldRows {
        let bias = self.bias.val();
        (self.taps > 1).then(|| Tensor::zeros([self.taps - 1, self.inputs], (&bias.device(), bias.dtype())))
    }
}

impl UpsampleState {
    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        held_bytes(&self.last)
    }
}
