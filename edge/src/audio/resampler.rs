//! Resampling of live sound (hop 2): any device rate to the rate that the networks hear.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use super::{NotFinite, Waveform};

/// Lowest rate that is accepted: below it speech is not intelligible.
pub const SAMPLE_RATE_MIN: u32 = 1_000;
/// Highest rate that is accepted: the fastest sound cards.
pub const SAMPLE_RATE_MAX: u32 = 384_000;
/// Blocks a second that the converter works in: 10 ms, the hop of the front end.
const BLOCKS_PER_SECOND: u32 = 100;

/// Sound cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ResampleError {
    /// A rate that no sound has. Ask the device for another one.
    #[error(
        "sample rate {0} Hz, expected {SAMPLE_RATE_MIN} to {SAMPLE_RATE_MAX}. Choose another rate of the device, or repair the header of the file."
    )]
    Rate(u32),
    /// The result leaves the range of numbers.
    #[error("after resampling: {0}")]
    NotFinite(#[from] NotFinite),
}

pub(super) fn check_rates(from: u32, to: u32) -> Result<(), ResampleError> {
    match [from, to].into_iter().find(|rate| !(SAMPLE_RATE_MIN..=SAMPLE_RATE_MAX).contains(rate)) {
        None => Ok(()),
        Some(rate) => Err(ResampleError::Rate(rate)),
    }
}

/// Converts a stream of samples from one rate to another.
///
/// It works in blocks of about 10 ms, so that its result does not depend on how the stream is cut, and gives
/// ceil(n to / from) samples for n in all, aligned with the input to half an input sample.
///
/// # State
/// one block of input and the filter's tail; it stands before all speculation and so need not be cloned
pub struct Resampler {
    /// `None` when both rates are equal.
    converter: Option<Fft<f64>>,
    from: u64,
    to: u64,
    // Double precision, because the converter panics when the loudest samples overflow single precision inside it.
    pending: Vec<f64>,
    block: Vec<f64>,
    seen: u64,
    given: u64,
    /// Samples of the filter's delay that are still to be dropped.
    delay: usize,
}

impl Resampler {
    /// From `from` to `to` samples a second.
    ///
    /// # Errors
    /// [`ResampleError::Rate`].
    pub fn new(from: u32, to: u32) -> Result<Self, ResampleError> {
        check_rates(from, to)?;
        let make = || {
            Fft::new(from as usize, to as usize, (from / BLOCKS_PER_SECOND) as usize, 1, FixedSync::Both)
                .expect("both rates and the block are positive")
        };
        let converter = (from != to).then(make);
        let block = vec![0.0; converter.as_ref().map_or(0, Fft::output_frames_max)];
        let delay = converter.as_ref().map_or(0, Fft::output_delay);
        Ok(Self { converter, from: u64::from(from), to: u64::from(to), pending: Vec::new(), block, seen: 0, given: 0, delay })
    }

    /// Takes samples and appends those that are complete to `out`. Allocates nothing once `out` has grown to the size of
    /// a piece.
    pub fn push(&mut self, samples: &Waveform, out: &mut Vec<f32>) {
        self.seen += samples.samples().len() as u64;
        if self.converter.is_none() {
            return out.extend_from_slice(samples.samples());
        }
        self.pending.extend(samples.samples().iter().map(|s| f64::from(*s)));
        self.convert(out, u64::MAX);
    }

    /// Ends the stream: appends what the filter still held, and starts anew.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let total = (self.seen * self.to).div_ceil(self.from);
        while let Some(converter) = self.converter.as_ref().filter(|_| self.given < total) {
            let block = converter.input_frames_next();
            self.pending.resize(self.pending.len().next_multiple_of(block).max(block), 0.0);
            self.convert(out, total);
        }
        if let Some(converter) = &mut self.converter {
            converter.reset();
            self.delay = converter.output_delay();
        }
        self.pending.clear();
        (self.seen, self.given) = (0, 0);
    }

    /// Converts every whole block, giving at most `total` samples since the start.
    fn convert(&mut self, out: &mut Vec<f32>, total: u64) {
        let Some(converter) = &mut self.converter else { return };
        let mut used = 0;
        while self.pending.len() - used >= converter.input_frames_next() {
            let frames = converter.input_frames_next();
            let input = SequentialSlice::new(&self.pending[used..used + frames], 1, frames).expect("one channel of this length");
            let length = self.block.len();
            let mut output = SequentialSlice::new_mut(&mut self.block, 1, length).expect("one channel of this length");
            let (_, made) = converter.process_into_buffer(&input, &mut output, None).expect("the buffers fit this converter");
            used += frames;
            let late = self.delay.min(made);
            self.delay -= late;
            let kept = (made - late).min((total - self.given) as usize);
            out.extend(self.block[late..late + kept].iter().map(|s| *s as f32));
            self.given += kept as u64;
        }
        self.pending.drain(..used);
    }
}

/// A whole clip through [`Resampler`].
///
/// # Shapes
/// n samples → ceil(n to / from)
///
/// # Errors
/// [`ResampleError`].
pub fn resample(waveform: &Waveform, from: u32, to: u32) -> Result<Waveform, ResampleError> {
    let mut resampler = Resampler::new(from, to)?;
    let mut out = Vec::new();
    resampler.push(waveform, &mut out);
    resampler.finish(&mut out);
    Ok(Waveform::new(out)?)
}
