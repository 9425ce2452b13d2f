//! Residual unit of the codec: x + conv1(snake(conv7(snake(x)))), the wide convolution dilated.
//!
//! Source: LongCat-Audio-Codec, `networks/modules`; the causal variant has a padding module at index 1.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::Conv1d;
use caracal_kernels::ops::Conv1dShape;
use caracal_kernels::{LoadError, Weights};

use super::snake::Snake;
use super::stream_conv::{HeldRows, Padding, StreamConv, held_bytes, keep_from};

/// Width of the dilated convolution.
const TAPS: usize = 7;

/// One residual unit, causal or symmetric.
#[derive(Module, Debug)]
pub struct ResidualUnit {
    /// Before the wide convolution.
    pub snake_in: Snake,
    /// Seven taps, dilated.
    pub wide: StreamConv,
    /// Between the convolutions.
    pub snake_mid: Snake,
    /// One tap.
    pub narrow: Conv1d,
}

/// Rows that a [`ResidualUnit`] still needs.
#[derive(Clone, Debug)]
pub struct ResidualUnitState {
    window: HeldRows,
    waiting: HeldRows,
}

impl ResidualUnit {
    /// Loads the unit's modules below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, channels: usize, dilation: usize, padding: Padding) -> Result<Self, LoadError> {
        let indices = match padding {
            Padding::Causal => [0, 2, 3, 4],
            Padding::Symmetric => [0, 1, 2, 3],
        };
        let [snake_in, wide, snake_mid, narrow] = indices.map(|index| weights.at(format_args!("block.{index}")));
        Ok(Self {
            snake_in: Snake::load(&snake_in, channels)?,
            wide: StreamConv::load(&wide, channels, channels, TAPS, dilation, padding)?,
            snake_mid: Snake::load(&snake_mid, channels)?,
            narrow: Conv1d::load(&narrow, channels, Conv1dShape { outputs: channels, taps: 1, dilation: 1, stride: 1 })?,
        })
    }

    /// What a stream holds before its first row.
    pub fn start(&self) -> ResidualUnitState {
        ResidualUnitState { window: self.wide.start(), waiting: None }
    }

    /// Takes rows; gives as many as their windows allow. `end` says that no row follows.
    pub fn advance(&self, state: &mut ResidualUnitState, x: Option<Tensor<2>>, end: bool) -> Option<Tensor<2>> {
        let bent = x.clone().map(|x| self.snake_in.forward(x));
        let parts: Vec<_> = [state.waiting.take(), x].into_iter().flatten().collect();
        let x = (!parts.is_empty()).then(|| Tensor::cat(parts, 0));
        let Some(y) = self.wide.advance(&mut state.window, bent, end) else {
            state.waiting = x;
            return None;
        };
        let x = x.expect("a complete window has its middle row");
        let [ready, _] = y.dims();
        state.waiting = keep_from(&x, ready);
        let y = self.narrow.forward(self.snake_mid.forward(y));
        Some(if state.waiting.is_some() { x.slice_dim(0, 0..ready) } else { x } + y)
    }
}

impl ResidualUnitState {
    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        held_bytes(&self.window) + held_bytes(&self.waiting)
    }
}
