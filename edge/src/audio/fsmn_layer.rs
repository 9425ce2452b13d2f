//! One FSMN layer: a memory over neighbouring vectors, then a feed-forward network, both around a residual stream.
//!
//! Source: LongCat-Flash-Omni §2.2; Zhang et al. 2018 (deep FSMN).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use caracal_kernels::layers::{LayerNorm, Linear};
use caracal_kernels::{Init, LoadError, Weights, ops};

use super::AudioEncoderConfig;
use super::joined_clips::JoinedClips;

/// max(0, x), with a ceiling where the config's activation has one.
#[derive(Module, Debug)]
pub struct Rectifier {
    ceiling: Option<f64>,
}

impl Rectifier {
    /// The published meaning of `activation`: unknown names are an unbounded rectifier.
    pub fn named(activation: &str) -> Self {
        let ceiling = match activation {
            "relu6" => Some(6.0),
            "relu2" => Some(2.0),
            _ => None,
        };
        Self { ceiling }
    }

    /// Any shape.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::rectify(x, self.ceiling.map(|ceiling| ceiling as f32))
    }
}

/// Memory and feed-forward network with their norms.
///
/// The memory sees zeros beyond both ends of the signal. They stand for normed vectors: padding before the norm would
/// let its bias leak in.
#[derive(Module, Debug)]
pub struct FsmnLayer {
    memory_ln: LayerNorm,
    /// `[width, 1, taps]`
    memory: Param<Tensor<3>>,
    ffn_ln: LayerNorm,
    ffn_in: Linear,
    ffn_out: Linear,
    relu: Rectifier,
    /// Rows before the current one that the memory reaches.
    past: usize,
    /// Rows after it.
    look_ahead: usize,
    dilation: usize,
}

/// What one stream has left in one layer.
#[derive(Clone, Debug)]
pub struct FsmnState {
    /// Normed rows: the past of the memory, then those that still wait for their look-ahead.
    normed: Option<Tensor<2>>,
    /// Residual rows of those that wait.
    waiting: Option<Tensor<2>>,
}

impl FsmnLayer {
    /// Loads layer `index` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &AudioEncoderConfig, index: usize) -> Result<Self, LoadError> {
        let right_order = if config.looks_ahead(index) { config.right_order } else { 0 };
        let (width, taps) = (config.proj_size, config.left_order + 1 + right_order);
        let bound = 1.0 / (taps as f32).sqrt();
        Ok(Self {
            memory_ln: LayerNorm::load(&weights.at("memory_ln"), width)?,
            memory: weights.param("memory.weight", [width, 1, taps], Init::Uniform(bound))?,
            ffn_ln: LayerNorm::load(&weights.at("ffn.0"), width)?,
            ffn_in: Linear::load(&weights.at("ffn.1"), width, config.hidden_size, true)?,
            ffn_out: Linear::load(&weights.at("ffn.3"), config.hidden_size, width, true)?,
            relu: Rectifier::named(&config.activation),
            past: config.left_order * config.left_stride,
            look_ahead: right_order * config.left_stride,
            dilation: config.left_stride,
        })
    }

    /// The state of a stream that has seen nothing.
    pub fn start(&self) -> FsmnState {
        FsmnState { normed: self.silence(self.past), waiting: None }
    }

    fn silence(&self, rows: usize) -> Option<Tensor<2>> {
        let weight = self.memory.val();
        let [width, ..] = weight.dims();
        (rows > 0).then(|| Tensor::zeros([rows, width], (&weight.device(), weight.dtype())))
    }

    /// Takes rows into the memory. Returns, for those that are final, the residual rows and what the memory adds to
    /// them. `end` says that nothing follows: then all rows are final and the state is spent.
    ///
    /// # Shapes
    /// x: `[n, width]` → two of `[m, width]`
    pub fn remember(&self, state: &mut FsmnState, x: Option<Tensor<2>>, end: bool) -> Option<(Tensor<2>, Tensor<2>)> {
        let fresh = x.clone().map(|x| self.memory_ln.forward(x));
        let beyond = if end { self.silence(self.look_ahead) } else { None };
        let normed = join([state.normed.take(), fresh, beyond]);
        let residual = join([state.waiting.take(), x]);
        let rows = |t: &Option<Tensor<2>>| t.as_ref().map_or(0, |t| t.dims()[0]);
        let ready = rows(&normed).saturating_sub(self.past + self.look_ahead).min(rows(&residual));
        let (Some(normed), Some(residual), 1..) = (&normed, &residual, ready) else {
            *state = FsmnState { normed, waiting: residual };
            return None;
        };
        let memory = ops::fsmn_memory(cut(normed, 0, ready + self.past + self.look_ahead)?, self.memory.val(), self.dilation);
        let result = (cut(residual, 0, ready)?, memory);
        *state = FsmnState { normed: cut(normed, ready, normed.dims()[0]), waiting: cut(residual, ready, residual.dims()[0]) };
        Some(result)
    }

    /// What the memory adds to the rows of whole clips that lie one after another, each as if alone.
    ///
    /// # Shapes
    /// x: `[rows, width]` → `[rows, width]`
    pub(super) fn remember_joined(&self, clips: &JoinedClips, x: Tensor<2>) -> Tensor<2> {
        clips.gather(ops::fsmn_memory(clips.spread(self.memory_ln.forward(x)), self.memory.val(), self.dilation))
    }

    /// Rows before and after the current one that the memory reaches.
    pub(super) fn reach(&self) -> (usize, usize) {
        (self.past, self.look_ahead)
    }

    /// y + W2 act(W1 norm(y)).
    ///
    /// # Shapes
    /// y: `[n, width]` → `[n, width]`
    pub fn feed_forward(&self, y: Tensor<2>) -> Tensor<2> {
        let inner = self.relu.forward(self.ffn_in.forward(self.ffn_ln.forward(y.clone())));
        y + self.ffn_out.forward(inner)
    }
}

impl FsmnState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        [&self.normed, &self.waiting].into_iter().flatten().map(|t| t.dims().iter().product::<usize>() * t.dtype().size()).sum()
    }
}

/// The rows of all pieces, in order.
fn join<const N: usize>(pieces: [Option<Tensor<2>>; N]) -> Option<Tensor<2>> {
    let mut there: Vec<Tensor<2>> = pieces.into_iter().flatten().collect();
    match there.len() {
        0 | 1 => there.pop(),
        _ => Some(Tensor::cat(there, 0)),
    }
}

/// Rows `from..to`, `None` when there are none.
fn cut(x: &Tensor<2>, from: usize, to: usize) -> Option<Tensor<2>> {
    let [rows, width] = x.dims();
    match (from < to, from == 0 && to == rows) {
        (false, _) => None,
        (true, true) => Some(x.clone()),
        (true, false) => Some(x.clone().slice([from..to, 0..width])),
    }
}
