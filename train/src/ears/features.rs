//! What the trained encoder hears: for the language model's stages, with the encoder frozen.

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::Streaming;
use caracal_edge::audio::{AudioEncoder, FrontEnd, Waveform};
use rayon::prelude::*;

use super::layout;
use crate::stage::Folders;

/// Samples that the streaming path is given at once: 100 ms.
const PIECE: usize = 1600;

/// The front end and the frozen encoder of a checkpoint, on the CPU.
pub struct Ears {
    front_end: FrontEnd,
    encoder: AudioEncoder,
    width: usize,
    units: usize,
    device: Device,
}

impl Ears {
    /// Opens the `audio` folder of the checkpoint.
    ///
    /// # Errors
    /// When a file cannot be read, or the front end does not fit the encoder.
    pub fn open(folders: &Folders) -> Result<Self> {
        let folder = layout::folder(folders);
        let device = Device::flex();
        let front_end = FrontEnd::open(&folder)?;
        let (encoder, config) = AudioEncoder::open(&folder, &device, DType::F32)?;
        ensure!(front_end.output_width() == config.input_size, "{}: the front end does not fit the encoder", folder.display());
        Ok(Self { front_end, encoder, width: config.output_size(), units: config.vocab_size, device })
    }

    /// Width of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Outputs of the CTC head.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Rows that `samples` samples give.
    pub fn count(&self, samples: usize) -> usize {
        self.front_end.count(samples as u64) as usize
    }

    /// The encoder's output for a whole utterance.
    ///
    /// # Shapes
    /// samples at 16 kHz → flat `[count, width]`
    ///
    /// # Errors
    /// When a sample is no number.
    pub fn hear(&self, samples: Vec<f32>) -> Result<Vec<f32>> {
        let features = self.front_end.offline(&Waveform::new(samples)?);
        Ok(self.rows(features).and_then(|x| self.encoder.offline(x)).map_or_else(Vec::new, values))
    }

    /// [`Ears::hear`] for many utterances, on all cores.
    ///
    /// # Errors
    /// When a sample is no number.
    pub fn hear_all(&self, utterances: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
        utterances.into_par_iter().map(|samples| self.hear(samples)).collect()
    }

    /// What [`Ears::hear`] gives, computed as a live conversation does: piece by piece.
    ///
    /// # Errors
    /// When a sample is no number.
    pub fn hear_live(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let (mut front, mut state, mut heard) = (self.front_end.start(), self.encoder.start(), Vec::new());
        for piece in samples.chunks(PIECE) {
            let mut features = Vec::new();
            self.front_end.push(&mut front, &Waveform::new(piece.to_vec())?, &mut features);
            if let Some(rows) = self.rows(features) {
                heard.extend(self.encoder.step(&mut state, rows).map(values).into_iter().flatten());
            }
        }
        let mut features = Vec::new();
        self.front_end.finish(&mut front, &mut features);
        if let Some(rows) = self.rows(features) {
            heard.extend(self.encoder.step(&mut state, rows).map(values).into_iter().flatten());
        }
        heard.extend(self.encoder.flush(&mut state).map(values).into_iter().flatten());
        Ok(heard)
    }

    /// Scores of the words.
    ///
    /// # Shapes
    /// heard: flat `[n, width]` → flat `[n, units]`
    pub fn scores(&self, heard: Vec<f32>) -> Vec<f32> {
        let rows = heard.len() / self.width;
        if rows == 0 {
            return Vec::new();
        }
        values(self.encoder.ctc_head(Tensor::from_data(TensorData::new(heard, [rows, self.width]), (&self.device, DType::F32))))
    }

    fn rows(&self, features: Vec<f32>) -> Option<Tensor<2>> {
        let width = self.front_end.output_width();
        let rows = features.len() / width;
        (rows > 0).then(|| Tensor::from_data(TensorData::new(features, [rows, width]), (&self.device, DType::F32)))
    }
}

fn values(x: Tensor<2>) -> Vec<f32> {
    x.into_data_dtype(DType::F32).try_into_vec().context("f32 was asked for").expect("f32 was asked for")
}
