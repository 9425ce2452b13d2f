//! The acoustic half of the tokenizer: a waveform into one latent vector each 60 ms.
//!
//! Symmetric convolutions over the whole utterance; there is no streaming form of it.
//!
//! Source: LongCat-Audio-Codec, `networks/modules`; arXiv 2510.15227 §3.

use burn::module::Module;
use burn::tensor::Tensor;
use caracal_kernels::layers::Conv1d;
use caracal_kernels::ops::Conv1dShape;
use caracal_kernels::{LoadError, Weights};

use super::config::EncoderConfig;
use super::residual_unit::ResidualUnit;
use super::snake::Snake;
use super::stream_conv::{Padding, StreamConv};
use super::trace::Trace;

/// Width of the first convolution.
const TAPS_FIRST: usize = 7;
/// Width of the last convolution.
const TAPS_LAST: usize = 3;
/// Dilations of a block's residual units.
const DILATIONS: [usize; 3] = [1, 3, 9];

/// One downsampling block: three residual units, snake, strided convolution.
#[derive(Module, Debug)]
pub struct EncoderBlock {
    /// Dilation 1, 3, 9.
    pub units: Vec<ResidualUnit>,
    /// Before the strided convolution.
    pub snake: Snake,
    /// Doubles the channels and divides the rows; its kernel is twice its stride.
    pub downsample: Conv1d,
}

impl EncoderBlock {
    fn load(weights: &Weights, inputs: usize, stride: usize) -> Result<Self, LoadError> {
        let part = |index: usize| weights.at(format_args!("block.{index}"));
        let units = DILATIONS.iter().enumerate().map(|(i, dilation)| ResidualUnit::load(&part(i), inputs, *dilation, Padding::Symmetric));
        let shape = Conv1dShape { outputs: 2 * inputs, taps: 2 * stride, dilation: 1, stride };
        Ok(Self {
            units: units.collect::<Result<_, _>>()?,
            snake: Snake::load(&part(DILATIONS.len()), inputs)?,
            downsample: Conv1d::load(&part(DILATIONS.len() + 1), inputs, shape)?,
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.units.iter().fold(x, |x, unit| unit.advance(&mut unit.start(), Some(x), true).expect("as many rows out as in"));
        let x = self.snake.forward(x);
        let padding = Tensor::zeros([self.downsample.stride.div_ceil(2), self.downsample.inputs], (&x.device(), x.dtype()));
        self.downsample.forward(Tensor::cat(vec![padding.clone(), x, padding], 0))
    }

    /// Rows out for rows in.
    fn rows_out(&self, rows: usize) -> usize {
        let stride = self.downsample.stride;
        (rows + stride % 2) / stride
    }
}

/// Waveform → acoustic latents.
///
/// # Shapes
/// n samples → `[AcousticEncoder::frames(n), latent]`; with n a multiple of the product of the rates, n / that many
#[derive(Module, Debug)]
pub struct AcousticEncoder {
    /// From one channel.
    pub first: StreamConv,
    /// One for each downsampling rate.
    pub blocks: Vec<EncoderBlock>,
    /// Before the last convolution.
    pub snake: Snake,
    /// To the latent.
    pub last: StreamConv,
}

impl AcousticEncoder {
    /// Loads `block.{n}` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &EncoderConfig) -> Result<Self, LoadError> {
        let part = |index: usize| weights.at(format_args!("block.{index}"));
        let blocks = config.rates.len();
        let channels = |block: usize| config.encoder_dim << block;
        Ok(Self {
            first: StreamConv::load(&part(0), 1, config.encoder_dim, TAPS_FIRST, 1, Padding::Symmetric)?,
            blocks: (0..blocks).map(|i| EncoderBlock::load(&part(i + 1), channels(i), config.rates[i])).collect::<Result<_, _>>()?,
            snake: Snake::load(&part(blocks + 1), channels(blocks))?,
            last: StreamConv::load(&part(blocks + 2), channels(blocks), config.latent_dim, TAPS_LAST, 1, Padding::Symmetric)?,
        })
    }

    /// Latents that `samples` samples give.
    pub fn frames(&self, samples: usize) -> usize {
        self.blocks.iter().fold(samples, |rows, block| block.rows_out(rows))
    }

    /// Encodes a whole utterance; `None` when it is too short for one frame.
    ///
    /// # Shapes
    /// x: `[samples, 1]` → `[frames, latent]`
    pub fn offline(&self, x: Tensor<2>, trace: &mut Trace) -> Option<Tensor<2>> {
        if self.frames(x.dims()[0]) == 0 {
            return None;
        }
        let mut x = self.first.advance(&mut self.first.start(), Some(x), true)?;
        trace.show(|| "enc.0".into(), &x);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x);
            trace.show(|| format!("enc.{}", index + 1), &x);
        }
        let x = self.snake.forward(x);
        trace.show(|| format!("enc.{}", self.blocks.len() + 1), &x);
        let x = self.last.advance(&mut self.last.start(), Some(x), true)?;
        trace.show(|| format!("enc.{}", self.blocks.len() + 2), &x);
        Some(x)
    }
}
