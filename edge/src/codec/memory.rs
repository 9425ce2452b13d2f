//! The decoder's memory: LSTM, norm, LSTM, norm, over codec frames.
//!
//! Released checkpoints have one such layer with one group of channels; another number shows as unknown tensors.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::{LayerNorm, Lstm, LstmState};
use caracal_kernels::{LoadError, Weights};

use super::trace::Trace;

/// Two LSTMs of one width, each with a norm behind it; no residual.
#[derive(Module, Debug)]
pub struct Memory {
    /// The first LSTM.
    pub lstm1: Lstm,
    /// Its norm.
    pub norm1: LayerNorm,
    /// The second LSTM.
    pub lstm2: Lstm,
    /// Its norm.
    pub norm2: LayerNorm,
}

/// State of both LSTMs.
#[derive(Clone, Debug)]
pub struct MemoryState {
    lstm1: LstmState,
    lstm2: LstmState,
}

impl Memory {
    /// Loads the layer below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, width: usize) -> Result<Self, LoadError> {
        Ok(Self {
            lstm1: Lstm::load(&weights.at("lstm_list1.0"), width, width)?,
            norm1: LayerNorm::load(&weights.at("ln1"), width)?,
            lstm2: Lstm::load(&weights.at("lstm_list2.0"), width, width)?,
            norm2: LayerNorm::load(&weights.at("ln2"), width)?,
        })
    }

    /// The state before the first frame.
    pub fn start(&self) -> MemoryState {
        MemoryState { lstm1: self.lstm1.start(), lstm2: self.lstm2.start() }
    }

    /// # Shapes
    /// x: `[frames, width]` → `[frames, width]`
    pub fn advance(&self, state: &mut MemoryState, x: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let x = self.lstm1.forward(&mut state.lstm1, x);
        trace.show(|| "lstm1".into(), &x);
        let x = self.lstm2.forward(&mut state.lstm2, self.norm1.forward(x));
        trace.show(|| "lstm2".into(), &x);
        let x = self.norm2.forward(x);
        trace.show(|| "mem".into(), &x);
        x
    }
}

impl MemoryState {
    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.lstm1.bytes() + self.lstm2.bytes()
    }
}
