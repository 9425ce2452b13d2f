//! How the weights of a convolution lie in memory: in panels of neighbouring outputs, so that [`super::conv1d`] reads
//! them straight on, whatever the number of channels.
//!
//! A panel holds up to 48 outputs side by side (three 512-bit or six 256-bit vectors, what a register tile computes
//! at once), one row for each tap and input channel, oldest tap first. Outputs missing in the last panel are zero.

/// Outputs side by side in a panel of a convolution with `outputs` outputs: the widest panel of whole 512-bit vectors
/// that pads the outputs by at most a tenth.
pub(super) fn panel_width(outputs: usize) -> usize {
    [48, 32].into_iter().find(|width| outputs.next_multiple_of(*width) * 10 <= outputs * 11).unwrap_or(16)
}

/// From the published shape of a convolution's weight to panels and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvLayout {
    /// A convolution, published as `[outputs, inputs, taps]`.
    Plain {
        /// Channels out.
        outputs: usize,
        /// Channels in.
        inputs: usize,
        /// Width of the kernel.
        taps: usize,
    },
    /// A transposed convolution, published as `[inputs, channels, kernel]`, `kernel` a multiple of `stride`. It is a
    /// plain one with kernel / stride taps and stride x channels outputs, phase by phase.
    Transposed {
        /// Channels in.
        inputs: usize,
        /// Channels out.
        channels: usize,
        /// Width of the kernel.
        kernel: usize,
        /// Rows out for each row in.
        stride: usize,
    },
}

impl ConvLayout {
    /// Shape in the file.
    pub fn published(&self) -> [usize; 3] {
        match *self {
            Self::Plain { outputs, inputs, taps } => [outputs, inputs, taps],
            Self::Transposed { inputs, channels, kernel, .. } => [inputs, channels, kernel],
        }
    }

    /// Outputs of the plain convolution, one column of a panel each.
    pub fn outputs(&self) -> usize {
        match *self {
            Self::Plain { outputs, .. } => outputs,
            Self::Transposed { channels, stride, .. } => stride * channels,
        }
    }

    /// Shape in memory: `[panels, taps x inputs, panel width]`.
    pub fn panels(&self) -> [usize; 3] {
        let width = panel_width(self.outputs());
        let rows = match *self {
            Self::Plain { inputs, taps, .. } => taps * inputs,
            Self::Transposed { inputs, kernel, stride, .. } => kernel / stride * inputs,
        };
        [self.outputs().div_ceil(width), rows, width]
    }

    /// Where the published element at (a, b, c) lies in the panels.
    fn position(&self, a: usize, b: usize, c: usize) -> usize {
        let (output, row) = match *self {
            Self::Plain { inputs, .. } => (a, c * inputs + b),
            // Phase c mod stride of the newest row uses the first `stride` columns of the kernel, so the taps run backwards.
            Self::Transposed { inputs, channels, kernel, stride } => {
                (c % stride * channels + b, (kernel / stride - 1 - c / stride) * inputs + a)
            }
        };
        let [_, rows, width] = self.panels();
        (output / width * rows + row) * width + output % width
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let [first, second, third] = self.published();
        let places = (0..first).flat_map(move |a| (0..second).flat_map(move |b| (0..third).map(move |c| (a, b, c))));
        places.enumerate().map(|(published, (a, b, c))| (published, self.position(a, b, c)))
    }

    /// Lays published values out in panels.
    pub fn to_panels(&self, published: &[f32]) -> Vec<f32> {
        let mut panels = vec![0.0; self.panels().iter().product()];
        self.pairs().for_each(|(from, to)| panels[to] = published[from]);
        panels
    }

    /// Takes panels apart again.
    pub fn to_published(&self, panels: &[f32]) -> Vec<f32> {
        let mut published = vec![0.0; self.published().iter().product()];
        self.pairs().for_each(|(to, from)| published[to] = panels[from]);
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_and_back_are_the_same_numbers() {
        for layout in [
            ConvLayout::Plain { outputs: 50, inputs: 3, taps: 7 },
            ConvLayout::Plain { outputs: 1, inputs: 5, taps: 2 },
            ConvLayout::Transposed { inputs: 4, channels: 20, kernel: 5, stride: 5 },
            ConvLayout::Transposed { inputs: 4, channels: 7, kernel: 12, stride: 6 },
        ] {
            let values: Vec<f32> = (0..layout.published().iter().product::<usize>()).map(|i| i as f32 + 1.0).collect();
            let panels = layout.to_panels(&values);
            assert_eq!(panels.iter().filter(|v| **v != 0.0).count(), values.len(), "{layout:?}: no element may land on another");
            assert_eq!(layout.to_published(&panels), values, "{layout:?}");
        }
    }

    #[test]
    fn a_transposed_kernel_has_its_newest_row_last() {
        let layout = ConvLayout::Transposed { inputs: 1, channels: 1, kernel: 4, stride: 2 };
        let panels = layout.to_panels(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((&panels[..2], &panels[16..18]), (&[3.0, 4.0][..], &[1.0, 2.0][..]));
    }
}
