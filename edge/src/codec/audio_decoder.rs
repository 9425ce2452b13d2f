//! The codec's decoder: codec frames in, sound out, as they come (hop 12).
//!
//! Table rows → two LSTMs → a convolution that looks three frames ahead → blocks that each upsample and bend the
//! signal → tanh. In the causal 24k topology nothing after that first convolution looks ahead: the first 60 ms come
//! out with the fourth frame. The symmetric 16k topology looks ahead in every convolution and is streamed exactly, with
//! the delay that this costs ([`AudioDecoder::frames_to_first_sample`]).
//!
//! Source: LongCat-Audio-Codec, `networks/decoders`; arXiv 2510.15227 §3; LongCat-Flash-Omni report, figure 3.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use caracal_kernels::layers::Embedding;
use caracal_kernels::{Checkpoint, LoadError, Weights};

use super::config::{DecoderConfig, DecoderType, checkpoint_beside};
use super::ids::CodecFrame;
use super::memory::{Memory, MemoryState};
use super::quantizer::GroupedResidualQuantizer;
use super::residual_unit::{ResidualUnit, ResidualUnitState};
use super::snake::Snake;
use super::stream_conv::{HeldRows, Padding, StreamConv, held_bytes};
use super::trace::Trace;
use super::upsample::{Upsample, UpsampleState};
use crate::Streaming;

/// Width of the first and the last convolution.
const TAPS: usize = 7;
/// Dilations of a block's residual units.
const DILATIONS: [usize; 3] = [1, 3, 9];
/// Frames that [`AudioDecoder::offline`] computes at once: enough to read the weights once a second of sound, few
/// enough to bound its memory.
const OFFLINE_FRAMES: usize = 16;

/// One upsampling block: snake, transposed convolution, three residual units.
#[derive(Module, Debug)]
pub struct DecoderBlock {
    /// Before the transposed convolution.
    pub snake: Snake,
    /// Halves the channels and multiplies the rows.
    pub upsample: Upsample,
    /// Dilation 1, 3, 9.
    pub units: Vec<ResidualUnit>,
}

#[derive(Clone, Debug)]
struct DecoderBlockState {
    upsample: UpsampleState,
    units: Vec<ResidualUnitState>,
}

impl DecoderBlock {
    fn load(weights: &Weights, inputs: usize, stride: usize, padding: Padding) -> Result<Self, LoadError> {
        let part = |index: usize| weights.at(format_args!("block.{index}"));
        let outputs = inputs / 2;
        let units = DILATIONS.iter().enumerate().map(|(i, dilation)| ResidualUnit::load(&part(i + 2), outputs, *dilation, padding));
        Ok(Self {
            snake: Snake::load(&part(0), inputs)?,
            upsample: Upsample::load(&part(1), inputs, outputs, stride, padding)?,
            units: units.collect::<Result<_, _>>()?,
        })
    }

    fn start(&self) -> DecoderBlockState {
        DecoderBlockState { upsample: self.upsample.start(), units: self.units.iter().map(ResidualUnit::start).collect() }
    }

    fn advance(
        &self,
        state: &mut DecoderBlockState,
        x: Option<Tensor<2>>,
        end: bool,
        show: &mut dyn FnMut(usize, &Tensor<2>),
    ) -> Option<Tensor<2>> {
        let mut see = |index: usize, x: Option<Tensor<2>>| x.inspect(|x| show(index, x));
        let x = see(0, x.map(|x| self.snake.forward(x)));
        let mut x = see(1, self.upsample.advance(&mut state.upsample, x, end));
        for (index, (unit, state)) in self.units.iter().zip(&mut state.units).enumerate() {
            x = see(index + 2, unit.advance(state, x, end));
        }
        x
    }
}

/// Turns codec frames into a waveform.
///
/// # Shapes
/// T frames → T x [`AudioDecoder::samples_per_frame`] samples in -1 to 1
///
/// # Units
/// 60 ms a frame with the released configs; samples at [`AudioDecoder::sample_rate`]
#[derive(Module, Debug)]
pub struct AudioDecoder {
    /// Semantic table, `[codes, semantic]`.
    pub semantic: Embedding,
    /// Acoustic tables.
    pub quantizer: GroupedResidualQuantizer,
    /// Two LSTMs over frames.
    pub memory: Memory,
    /// Looks three frames ahead.
    pub first: StreamConv,
    /// One for each upsampling rate.
    pub blocks: Vec<DecoderBlock>,
    /// Before the last convolution.
    pub last_snake: Snake,
    /// To one channel.
    pub last: StreamConv,
    /// Samples a second.
    pub sample_rate: u32,
}

/// What a decoder remembers of one reply; it lasts over the rounds of the reply.
#[derive(Clone, Debug)]
pub struct AudioDecoderState {
    memory: MemoryState,
    first: HeldRows,
    blocks: Vec<DecoderBlockState>,
    last: HeldRows,
    any_frame: bool,
}

impl AudioDecoderState {
    /// Memory that this stream holds, in bytes: 544 KB for the released 24k decoder, however long the reply.
    pub fn bytes(&self) -> usize {
        let blocks =
            self.blocks.iter().map(|block| block.upsample.bytes() + block.units.iter().map(ResidualUnitState::bytes).sum::<usize>());
        self.memory.bytes() + held_bytes(&self.first) + blocks.sum::<usize>() + held_bytes(&self.last)
    }
}

impl AudioDecoder {
    /// Opens a released folder: `config.yaml` and the checkpoint that it names.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field or tensor; every tensor must be there and none besides.
    pub fn open(folder: &Path, device: &Device, dtype: DType) -> Result<(Self, DecoderConfig), LoadError> {
        let file = folder.join("config.yaml");
        let config = DecoderConfig::read(&file)?;
        let checkpoint = Checkpoint::open(&checkpoint_beside(&file, config.ckpt_path.as_deref())?)?;
        let decoder = Self::load(&Weights::from_checkpoint(&checkpoint, device, dtype).keep_narrow(), &config)?;
        checkpoint.refuse_unread(|_| false)?;
        Ok((decoder, config))
    }

    /// Loads all parameters by their published names.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &DecoderConfig) -> Result<Self, LoadError> {
        let padding = match config.decoder_type {
            DecoderType::Causal24k => Padding::Causal,
            DecoderType::Symmetric16k => Padding::Symmetric,
        };
        let blocks = config.rates.len();
        let model = |index: usize| weights.at(format_args!("decoder.model.{index}"));
        let channels = |block: usize| config.decoder_dim >> block;
        let last = last_index(blocks, padding);
        Ok(Self {
            semantic: Embedding::load(&weights.at("semantic_dequantizer.dequant"), config.semantic_codes, config.semantic_dim)?,
            quantizer: GroupedResidualQuantizer::load(&weights.at("acoustic_quantizer"), &config.quantizer())?,
            memory: Memory::load(&weights.at("decoder.mem_layers.0"), config.memory_dim())?,
            first: StreamConv::load(&model(0), config.memory_dim(), config.decoder_dim, TAPS, 1, Padding::Symmetric)?,
            blocks: (0..blocks)
                .map(|i| DecoderBlock::load(&model(i + 1), channels(i), config.rates[i], padding))
                .collect::<Result<_, _>>()?,
            last_snake: Snake::load(&model(blocks + 1), channels(blocks))?,
            last: StreamConv::load(&model(last), channels(blocks), 1, TAPS, 1, padding)?,
            sample_rate: config.decoder_type.sample_rate(),
        })
    }

    /// Samples that come out for each frame.
    pub fn samples_per_frame(&self) -> usize {
        self.blocks.iter().map(|block| block.upsample.stride).product()
    }

    /// Frames that must be in before the first sample comes out: 4 in the causal topology.
    pub fn frames_to_first_sample(&self) -> usize {
        let after_last = self.last.right;
        let after_blocks = self.blocks.iter().rev().fold(after_last, |row, block| {
            let ahead = block.units.iter().map(|unit| unit.wide.right).sum::<usize>();
            (row + ahead + block.upsample.lead) / block.upsample.stride
        });
        after_blocks + self.first.right + 1
    }

    /// The waveform of a whole reply; empty for no frames.
    pub fn offline(&self, frames: &[CodecFrame]) -> Vec<f32> {
        self.offline_traced(frames, &mut Trace::off())
    }

    /// As [`AudioDecoder::offline`], with every stage shown under its published name.
    pub fn offline_traced(&self, frames: &[CodecFrame], trace: &mut Trace) -> Vec<f32> {
        let mut state = self.start();
        let pieces = frames.chunks(OFFLINE_FRAMES).map(|piece| self.advance(&mut state, piece, false, trace)).collect::<Vec<_>>();
        let rest = self.advance(&mut state, &[], true, trace);
        pieces.into_iter().chain([rest]).flatten().flat_map(samples).collect()
    }

    /// The waveform of a whole reply as a tensor that gradients flow through; `None` for no frames.
    ///
    /// # Shapes
    /// T frames → `[T x samples_per_frame, 1]`
    pub fn forward(&self, frames: &[CodecFrame]) -> Option<Tensor<2>> {
        self.advance(&mut self.start(), frames, true, &mut Trace::off())
    }

    fn advance(&self, state: &mut AudioDecoderState, frames: &[CodecFrame], end: bool, trace: &mut Trace) -> Option<Tensor<2>> {
        state.any_frame |= !frames.is_empty();
        if !state.any_frame {
            return None;
        }
        let remembered = (!frames.is_empty()).then(|| self.memory.advance(&mut state.memory, self.latents(frames, trace), trace));
        let mut x = self.first.advance(&mut state.first, remembered, end).inspect(|x| trace.show(|| "model.0".into(), x));
        for (index, (block, state)) in self.blocks.iter().zip(&mut state.blocks).enumerate() {
            x = block.advance(state, x, end, &mut |part, x| trace.show(|| format!("model.{}.block.{part}", index + 1), x));
            x = x.inspect(|x| trace.show(|| format!("model.{}", index + 1), x));
        }
        let x = x.map(|x| self.last_snake.forward(x)).inspect(|x| trace.show(|| format!("model.{}", self.blocks.len() + 1), x));
        let x = self.last.advance(&mut state.last, x, end)?;
        let last = last_index(self.blocks.len(), if self.last.right == 0 { Padding::Causal } else { Padding::Symmetric });
        trace.show(|| format!("model.{last}"), &x);
        let x = x.tanh();
        trace.show(|| format!("model.{}", last + 1), &x);
        Some(x)
    }

    /// Table rows of the frames, semantic channels first.
    fn latents(&self, frames: &[CodecFrame], trace: &mut Trace) -> Tensor<2> {
        let semantic: Vec<u32> = frames.iter().map(CodecFrame::semantic).collect();
        let codebooks = frames.iter().map(|f| f.acoustic().len()).min().unwrap_or(0);
        let acoustic: Vec<Vec<u32>> = (0..codebooks).map(|book| frames.iter().map(|f| f.acoustic()[book]).collect()).collect();
        let acoustic = self.quantizer.decode(&acoustic);
        trace.show(|| "acoustic_latents".into(), &acoustic);
        let latents = Tensor::cat(vec![self.semantic.forward(&semantic), acoustic], 1);
        trace.show(|| "latents".into(), &latents);
        latents
    }
}

fn samples(x: Tensor<2>) -> Vec<f32> {
    x.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
}

/// Published index of the last convolution: the causal model has a padding module before it.
fn last_index(blocks: usize, padding: Padding) -> usize {
    blocks + if padding == Padding::Causal { 3 } else { 2 }
}

impl Streaming for AudioDecoder {
    type State = AudioDecoderState;
    type In = Vec<CodecFrame>;
    type Out = Vec<f32>;

    fn start(&self) -> AudioDecoderState {
        AudioDecoderState {
            memory: self.memory.start(),
            first: self.first.start(),
            blocks: self.blocks.iter().map(DecoderBlock::start).collect(),
            last: self.last.start(),
            any_frame: false,
        }
    }

    fn step(&self, state: &mut AudioDecoderState, frames: Vec<CodecFrame>) -> Option<Vec<f32>> {
        self.advance(state, &frames, false, &mut Trace::off()).map(samples)
    }

    /// Zeros enter behind the LSTMs, which never run on padding.
    fn flush(&self, state: &mut AudioDecoderState) -> Option<Vec<f32>> {
        self.advance(state, &[], true, &mut Trace::off()).map(samples)
    }
}
