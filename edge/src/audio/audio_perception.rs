//! Front end, audio encoder and projector of one model folder: samples in, embeddings for the language model out.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_kernels::LoadError;

use super::{AudioEncoder, AudioEncoderState, AudioProjector, FrontEnd, FrontEndState, Waveform};
use crate::Streaming;

/// Everything between a waveform and the language model.
///
/// # Shapes
/// samples → `[tokens, width]`
///
/// # Units
/// one embedding every 80 ms in the released model, final 495 ms after the end of its own 80 ms
///
/// # State
/// that of the front end and of the audio encoder
#[derive(Debug)]
pub struct AudioPerception {
    /// Samples to spliced features.
    pub front_end: FrontEnd,
    /// Spliced features to the encoder's width.
    pub encoder: AudioEncoder,
    /// The encoder's width to the language model's.
    pub projector: AudioProjector,
    device: Device,
}

/// What one stream has seen.
#[derive(Clone, Debug)]
pub struct AudioPerceptionState {
    front_end: FrontEndState,
    encoder: AudioEncoderState,
}

impl AudioPerception {
    /// Opens the `audio` folder of a model and checks that its parts belong together.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field or tensor.
    pub fn open(folder: &Path, device: &Device, dtype: DType) -> Result<Self, LoadError> {
        let front_end = FrontEnd::open(folder)?;
        let (encoder, config) = AudioEncoder::open(folder, device, dtype)?;
        if front_end.output_width() != config.input_size {
            let problem = format!(
                "{}, expected {}, the width of the front end in preprocessor_config.json. Take both files from the same release.",
                config.input_size,
                front_end.output_width()
            );
            return Err(LoadError::config(&folder.join("config.json"), "input_size", problem));
        }
        let projector = AudioProjector::open(folder, config.output_size(), config.proj_output_dim, device, dtype)?;
        Ok(Self { front_end, encoder, projector, device: device.clone() })
    }

    /// All embeddings of a whole clip; `None` when it is shorter than one window.
    pub fn offline(&self, waveform: &Waveform) -> Option<Tensor<2>> {
        let features = self.front_end.offline(waveform);
        self.encoder.offline(self.rows(features)?).map(|x| self.projector.forward(x))
    }

    /// As `step`, cut before the encoder's post-FFN: the rest runs on the cluster.
    ///
    /// # Shapes
    /// samples → `[tokens, proj_size]`
    pub fn step_hidden(&self, state: &mut AudioPerceptionState, samples: Waveform) -> Option<Tensor<2>> {
        let features = self.front_end.step(&mut state.front_end, samples)?;
        self.encoder.step_hidden(&mut state.encoder, self.rows(features)?)
    }

    /// As `flush`, cut at the same place.
    pub fn flush_hidden(&self, state: &mut AudioPerceptionState) -> Option<Tensor<2>> {
        let features = self.front_end.flush(&mut state.front_end).and_then(|features| self.rows(features));
        let stepped = features.and_then(|x| self.encoder.step_hidden(&mut state.encoder, x));
        let outputs: Vec<_> = stepped.into_iter().chain(self.encoder.flush_hidden(&mut state.encoder)).collect();
        (!outputs.is_empty()).then(|| Tensor::cat(outputs, 0))
    }

    fn rows(&self, features: Vec<f32>) -> Option<Tensor<2>> {
        let width = self.front_end.output_width();
        let rows = features.len() / width;
        (rows > 0).then(|| Tensor::from_data(TensorData::new(features, [rows, width]), (&self.device, DType::F32)))
    }
}

impl AudioPerceptionState {
    /// Memory that this stream holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.front_end.bytes() + self.encoder.bytes()
    }
}

impl Streaming for AudioPerception {
    type State = AudioPerceptionState;
    type In = Waveform;
    type Out = Tensor<2>;

    fn start(&self) -> AudioPerceptionState {
        AudioPerceptionState { front_end: self.front_end.start(), encoder: self.encoder.start() }
    }

    fn step(&self, state: &mut AudioPerceptionState, samples: Waveform) -> Option<Tensor<2>> {
        let features = self.front_end.step(&mut state.front_end, samples)?;
        self.encoder.step(&mut state.encoder, self.rows(features)?).map(|x| self.projector.forward(x))
    }

    fn flush(&self, state: &mut AudioPerceptionState) -> Option<Tensor<2>> {
        let features = self.front_end.flush(&mut state.front_end).and_then(|features| self.rows(features));
        let stepped = features.and_then(|x| self.encoder.step(&mut state.encoder, x));
        let flushed = self.encoder.flush(&mut state.encoder);
        let outputs: Vec<_> = stepped.into_iter().chain(flushed).collect();
        (!outputs.is_empty()).then(|| self.projector.forward(Tensor::cat(outputs, 0)))
    }
}
