//! A convolution over a stream of rows: pads both ends, remembers the rows that later windows still need.
//!
//! One path serves causal and symmetric convolutions, pieces and whole utterances: the left padding is in the stream
//! from the start, the right padding enters when the stream ends.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::Conv1d;
use caracal_kernels::ops::{Conv1dShape, compact};
use caracal_kernels::{LoadError, Weights};

/// Where the zeros of a convolution go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// All before the first row: an output needs no later row.
    Causal,
    /// Half before, half after.
    Symmetric,
}

/// A convolution with as many rows out as in.
#[derive(Module, Debug)]
pub struct StreamConv {
    /// The convolution, stride 1.
    pub conv: Conv1d,
    /// Zero rows before the first row.
    pub left: usize,
    /// Zero rows after the last row: the rows that an output waits for.
    pub right: usize,
}

/// Rows that windows still need; `None` when that is none.
pub type HeldRows = Option<Tensor<2>>;

impl StreamConv {
    /// Loads the convolution below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        taps: usize,
        dilation: usize,
        padding: Padding,
    ) -> Result<Self, LoadError> {
        let conv = Conv1d::load(weights, inputs, Conv1dShape { outputs, taps, dilation, stride: 1 })?;
        let total = conv.shape().span() - 1;
        let right = if padding == Padding::Causal { 0 } else { total / 2 };
        Ok(Self { conv, left: total - right, right })
    }

    /// What a stream holds before its first row.
    pub fn start(&self) -> HeldRows {
        self.zeros(self.left)
    }

    /// Takes rows; gives those outputs whose windows are complete. `end` says that no row follows.
    pub fn advance(&self, held: &mut HeldRows, x: Option<Tensor<2>>, end: bool) -> Option<Tensor<2>> {
        let padding = if end { self.zeros(self.right) } else { None };
        let parts: Vec<_> = [held.take(), x, padding].into_iter().flatten().collect();
        if parts.is_empty() {
            return None;
        }
        let rows = Tensor::cat(parts, 0);
        let ready = self.conv.shape().rows_out(rows.dims()[0]);
        *held = keep_from(&rows, ready);
        (ready > 0).then(|| self.conv.forward(rows))
    }

    fn zeros(&self, rows: usize) -> HeldRows {
        let bias = self.conv.bias.val();
        (rows > 0).then(|| Tensor::zeros([rows, self.conv.inputs], (&bias.device(), bias.dtype())))
    }
}

/// The rows from `first` on in memory of their own, so that a state never keeps a whole piece alive.
pub(super) fn keep_from(rows: &Tensor<2>, first: usize) -> HeldRows {
    let [count, _] = rows.dims();
    (first < count).then(|| compact(rows.clone().slice_dim(0, first..count)))
}

/// Memory that held rows take, in bytes.
pub(super) fn held_bytes(rows: &HeldRows) -> usize {
    rows.as_ref().map_or(0, |rows| rows.dims().iter().product::<usize>() * rows.dtype().size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn causal_outputs_come_at_once_and_symmetric_ones_half_a_window_late() {
        let device = Device::flex();
        for (padding, late) in [(Padding::Causal, 0), (Padding::Symmetric, 6)] {
            let conv = StreamConv::load(&Weights::random(1, &device), 3, 5, 7, 2, padding).unwrap();
            let x = Tensor::<2>::random([20, 3], Distribution::Default, &device);
            let mut held = conv.start();
            let rows = |y: &Option<Tensor<2>>| y.as_ref().map_or(0, |y| y.dims()[0]);
            let first = conv.advance(&mut held, Some(x.clone()), false);
            let last = conv.advance(&mut held, None, true);
            assert_eq!((rows(&first), rows(&last)), (20 - late, late));
            let whole = conv.advance(&mut conv.start(), Some(x), true).unwrap();
            let pieces = [first, last].into_iter().flatten().collect();
            assert_eq!(Tensor::cat(pieces, 0).into_data(), whole.into_data());
        }
    }

    #[test]
    fn an_empty_stream_gives_nothing() {
        let conv = StreamConv::load(&Weights::random(1, &Device::flex()), 3, 5, 7, 1, Padding::Symmetric).unwrap();
        assert!(conv.advance(&mut conv.start(), None, true).is_none());
    }
}
