//! The streaming audio encoder (hop 5): feed-forward, FSMN layers of which the last look ahead, feed-forward, and a
//! CTC head for training.
//!
//! Source: LongCat-Flash-Omni §2.2 and its published audio encoder.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use caracal_kernels::layers::Linear;
use caracal_kernels::{Checkpoint, LoadError, Weights};

use super::fsmn_layer::Rectifier;
use super::joined_clips::JoinedClips;
use super::{AudioEncoderConfig, FsmnLayer, FsmnState};
use crate::Streaming;

/// Turns spliced features into the audio encoder's output.
///
/// # Shapes
/// x: `[n, input_size]` → `[m, output_size]`
///
/// # Units
/// one row every 80 ms in the released model; needs [`AudioEncoder::look_ahead`] later rows (6, 480 ms)
///
/// # State
/// a layer: `left_order x left_stride` normed rows, and in the last layers the rows that wait for their look-ahead
#[derive(Module, Debug)]
pub struct AudioEncoder {
    ffn_in: Linear,
    ffn_out: Linear,
    fsmn_layers: Vec<FsmnLayer>,
    dnn: Vec<Linear>,
    output: Linear,
    relu: Rectifier,
    look_ahead: usize,
}

/// What one stream has left in every layer.
#[derive(Clone, Debug)]
pub struct AudioEncoderState {
    layers: Vec<FsmnState>,
}

impl AudioEncoder {
    /// Reads `config.json` and `audio_encoder.safetensors` or `.pt` in `folder`. On the CPU, matrices that the file
    /// stores in bf16 stay so.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field or tensor; foreign and left-over tensors are refused.
    pub fn open(folder: &Path, device: &Device, dtype: DType) -> Result<(Self, AudioEncoderConfig), LoadError> {
        let config = AudioEncoderConfig::read(&folder.join("config.json"))?;
        let checkpoint = Checkpoint::open_part(folder, "audio_encoder")?;
        let encoder = Self::load(&Weights::from_checkpoint(&checkpoint, device, dtype).keep_narrow(), &config)?;
        checkpoint.refuse_unread(|_| false)?;
        Ok((encoder, config))
    }

    /// Loads every parameter below `weights`, the CTC head included.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &AudioEncoderConfig) -> Result<Self, LoadError> {
        let (hidden, width) = (config.hidden_size, config.proj_size);
        let dnn = |i: usize| Linear::load(&weights.at(format!("dnn.{}", 2 * i)), if i == 0 { width } else { hidden }, hidden, true);
        Ok(Self {
            ffn_in: Linear::load(&weights.at("ffn.0"), config.input_size, hidden, true)?,
            ffn_out: Linear::load(&weights.at("ffn.2"), hidden, width, false)?,
            fsmn_layers: (0..config.nlayer)
                .map(|i| FsmnLayer::load(&weights.at(format!("fsmn_layers.{i}")), config, i))
                .collect::<Result<_, _>>()?,
            dnn: (0..config.ndnn).map(dnn).collect::<Result<_, _>>()?,
            output: Linear::load(&weights.at("output"), config.output_size(), config.vocab_size, true)?,
            relu: Rectifier::named(&config.activation),
            look_ahead: config.num_right_layers * config.right_order * config.left_stride,
        })
    }

    /// Later rows that an output needs.
    pub fn look_ahead(&self) -> usize {
        self.look_ahead
    }

    /// Outputs that are final after `rows` rows of a signal that goes on.
    pub fn final_count(&self, rows: u64) -> u64 {
        rows.saturating_sub(self.look_ahead as u64)
    }

    /// The layers, in order.
    pub fn layers(&self) -> &[FsmnLayer] {
        &self.fsmn_layers
    }

    /// Before the FSMN layers.
    ///
    /// # Shapes
    /// x: `[n, input_size]` → `[n, proj_size]`
    ///
    /// # Panics
    /// When x has another width.
    pub fn pre_ffn(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = self.ffn_in.bias.as_ref().map_or(x.dtype(), |bias| bias.val().dtype());
        let x = if x.dtype() == dtype { x } else { x.cast(dtype) };
        self.ffn_out.forward(self.relu.forward(self.ffn_in.forward(x)))
    }

    /// After the FSMN layers: every linear layer is followed by the activation, the last one too.
    ///
    /// # Shapes
    /// x: `[n, proj_size]` → `[n, output_size]`
    pub fn post_ffn(&self, x: Tensor<2>) -> Tensor<2> {
        self.dnn.iter().fold(x, |x, layer| self.relu.forward(layer.forward(x)))
    }

    /// Scores of the CTC head, for training: the embedding for the language model does not go through it.
    ///
    /// # Shapes
    /// output: `[n, output_size]` → `[n, vocab_size]`
    pub fn ctc_head(&self, output: Tensor<2>) -> Tensor<2> {
        self.output.forward(output)
    }

    /// A whole clip at once; `None` when it has no row.
    ///
    /// # Shapes
    /// x: `[n, input_size]` → `[n, output_size]`
    pub fn offline(&self, x: Tensor<2>) -> Option<Tensor<2>> {
        self.offline_batch(vec![x]).pop().flatten()
    }

    /// Whole clips side by side, each as if alone: no clip sees padding or another clip.
    ///
    /// # Shapes
    /// each: `[n, input_size]` → `[n, output_size]`, in order
    pub fn offline_batch(&self, clips: Vec<Tensor<2>>) -> Vec<Option<Tensor<2>>> {
        let mut states: Vec<_> = clips.iter().map(|_| self.start()).collect();
        self.advance(&mut states.iter_mut().collect::<Vec<_>>(), clips.into_iter().map(Some).collect(), true)
    }

    /// Whole clips that lie one after another in `x`, each as if alone: what [`AudioEncoder::offline_batch`] gives, with
    /// few large operations. For training, where the many small ones of a clip by itself cost more than the matrices.
    ///
    /// # Shapes
    /// x: `[sum of lengths, input_size]` → `[sum of lengths, output_size]`
    ///
    /// # Panics
    /// When x has not as many rows as the clips together, or none.
    pub fn offline_joined(&self, x: Tensor<2>, lengths: &[usize]) -> Tensor<2> {
        let reach = self.fsmn_layers.iter().map(FsmnLayer::reach);
        let (past, look_ahead) = reach.fold((0, 0), |most, layer| (most.0.max(layer.0), most.1.max(layer.1)));
        let clips = JoinedClips::new(lengths, past, look_ahead, &x.device());
        let joined = self.fsmn_layers.iter().fold(self.pre_ffn(x), |x, layer| {
            let memory = layer.remember_joined(&clips, x.clone());
            layer.feed_forward(x + memory)
        });
        self.post_ffn(joined)
    }

    /// One step of several streams: the weights are read once for all, and each stream computes what it would alone.
    ///
    /// # Shapes
    /// pieces: one `[n, input_size]` a stream → one `[m, output_size]` a stream, `None` where nothing is final
    ///
    /// # Panics
    /// When there are not as many pieces as states.
    pub fn step_batch(&self, states: &mut [&mut AudioEncoderState], pieces: Vec<Tensor<2>>) -> Vec<Option<Tensor<2>>> {
        self.advance(states, pieces.into_iter().map(Some).collect(), false)
    }

    /// Width of what [`AudioEncoder::step_hidden`] gives.
    pub fn hidden_width(&self) -> usize {
        self.ffn_out.weight.dims()[0]
    }

    /// As `step`, cut before [`AudioEncoder::post_ffn`], which then runs elsewhere.
    ///
    /// # Shapes
    /// x: `[n, input_size]` → `[m, proj_size]`
    pub fn step_hidden(&self, state: &mut AudioEncoderState, x: Tensor<2>) -> Option<Tensor<2>> {
        self.hidden(&mut [state], vec![Some(x)], false).pop().flatten()
    }

    /// As `flush`, cut at the same place.
    pub fn flush_hidden(&self, state: &mut AudioEncoderState) -> Option<Tensor<2>> {
        self.hidden(&mut [state], vec![None], true).pop().flatten()
    }

    fn advance(&self, states: &mut [&mut AudioEncoderState], pieces: Vec<Option<Tensor<2>>>, end: bool) -> Vec<Option<Tensor<2>>> {
        together(self.hidden(states, pieces, end), |x| self.post_ffn(x))
    }

    fn hidden(&self, states: &mut [&mut AudioEncoderState], pieces: Vec<Option<Tensor<2>>>, end: bool) -> Vec<Option<Tensor<2>>> {
        assert_eq!(states.len(), pieces.len(), "audio encoder: {} states for {} pieces", states.len(), pieces.len());
        let pieces = pieces.into_iter().map(|x| x.filter(|x| x.dims()[0] > 0)).collect();
        let mut rows = together(pieces, |x| self.pre_ffn(x));
        for (index, layer) in self.fsmn_layers.iter().enumerate() {
            let slots = states.iter_mut().zip(rows);
            let ready = slots.map(|(state, x)| layer.remember(&mut state.layers[index], x, end).map(|(x, memory)| x + memory)).collect();
            rows = together(ready, |y| layer.feed_forward(y));
        }
        rows
    }
}

/// Applies a row-wise network to the rows of all streams at once.
fn together(pieces: Vec<Option<Tensor<2>>>, network: impl Fn(Tensor<2>) -> Tensor<2>) -> Vec<Option<Tensor<2>>> {
    let lengths: Vec<Option<usize>> = pieces.iter().map(|x| x.as_ref().map(|x| x.dims()[0])).collect();
    let mut there: Vec<Tensor<2>> = pieces.into_iter().flatten().collect();
    let joined = match there.len() {
        0 => return lengths.iter().map(|_| None).collect(),
        1 => network(there.remove(0)),
        _ => network(Tensor::cat(there, 0)),
    };
    let [rows, width] = joined.dims();
    let mut from = 0;
    let mut part = |length: usize| {
        let piece = if length == rows { joined.clone() } else { joined.clone().slice([from..from + length, 0..width]) };
        from += length;
        piece
    };
    lengths.into_iter().map(|length| length.map(&mut part)).collect()
}

impl AudioEncoderState {
    /// Memory that this stream holds, in bytes. It stops growing once every layer has its look-ahead.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(FsmnState::bytes).sum()
    }
}

impl Streaming for AudioEncoder {
    type State = AudioEncoderState;
    type In = Tensor<2>;
    type Out = Tensor<2>;

    fn start(&self) -> AudioEncoderState {
        AudioEncoderState { layers: self.fsmn_layers.iter().map(FsmnLayer::start).collect() }
    }

    fn step(&self, state: &mut AudioEncoderState, x: Tensor<2>) -> Option<Tensor<2>> {
        self.advance(&mut [state], vec![Some(x)], false).pop().flatten()
    }

    fn flush(&self, state: &mut AudioEncoderState) -> Option<Tensor<2>> {
        self.advance(&mut [state], vec![None], true).pop().flatten()
    }
}
