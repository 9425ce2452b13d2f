//! A model folder as the parts of a live edge.

use std::path::Path;

use burn::tensor::{DType, Device};
use caracal_kernels::LoadError;
use caracal_shared::wire::{AudioCut, Model, Precision};

use crate::accelerator::{Accelerator, Eyes};
use crate::audio::AudioPerception;
use crate::codec::AudioDecoder;
use crate::identity::model_identity;
use crate::vision::{RopeTable, VisionEncoder};

/// A model cannot be run by an edge.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Weights or a config.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The folder.
    #[error("{folder}: cannot be read: {source}. `model` must name a model folder with audio, vision and audio_codec.")]
    Folder {
        /// Which.
        folder: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

/// Loads ears, mouth and, with a camera, eyes; also says what the cluster must be told of them.
///
/// # Errors
/// [`LiveError`] naming the file.
pub fn load(folder: &Path, device: &Device, camera: bool, cut: AudioCut, precision: Precision) -> Result<(Accelerator, Model), LiveError> {
    let identity = model_identity(folder).map_err(|source| LiveError::Folder { folder: folder.display().to_string(), source })?;
    let ears = AudioPerception::open(&folder.join("audio"), device, DType::F32)?;
    let width = ears.projector.output_size();
    let eyes = match camera {
        true => {
            let (encoder, config) = VisionEncoder::open(folder, width, device, DType::F32, RopeTable::Demo)?;
            Some(Eyes::new(encoder, &config))
        }
        false => None,
    };
    let mouth = AudioDecoder::open(&folder.join("audio_codec"), device, DType::F32)?;
    let vision_width = if camera { width as u32 } else { 0 };
    let accelerator = Accelerator::new(ears, eyes, mouth, cut, precision);
    let audio_width = accelerator.audio_width() as u32;
    Ok((accelerator, Model { identity, audio_cut: cut, precision, audio_width, vision_width }))
}
