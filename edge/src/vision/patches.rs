//! From resized pictures to patch rows: rescale, normalise, pair, cut.

use super::Picture;
use super::config::PreprocessConfig;

/// Patches of one unit, or tokens of one: rows from top to bottom, columns from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
}

impl Grid {
    /// Rows x columns.
    pub fn count(self) -> usize {
        self.rows as usize * self.columns as usize
    }

    /// The tokens that a grid of patches becomes: pairs of neighbouring columns are one token.
    pub fn tokens(self) -> Grid {
        Grid { rows: self.rows, columns: self.columns / 2 }
    }
}

/// What the encoder sees at once: a still picture (fused with itself) or two pictures of a video.
#[derive(Clone, Debug, PartialEq)]
pub struct VisualUnit {
    /// Patches; the number of columns is even.
    pub grid: Grid,
    /// `[grid.count(), patch values]`, row-major over the grid; a patch is `[channel 3, picture 2, y, x]`.
    pub rows: Vec<f32>,
}

/// Byte to normalised value, for each channel.
///
/// The order of the operations is the published one, (byte / 255 - mean) / std in f32; folding it into one
/// multiplication and addition would give other last bits.
#[derive(Clone, Debug)]
pub struct Normaliser([[f32; 256]; 3]);

impl Normaliser {
    /// The table for a model.
    pub fn new(config: &PreprocessConfig) -> Self {
        let value = |channel: usize, byte: usize| {
            let scaled = (byte as f64 * (1.0 / 255.0)) as f32;
            (scaled - config.image_mean[channel] as f32) / config.image_std[channel] as f32
        };
        Self(std::array::from_fn(|channel| std::array::from_fn(|byte| value(channel, byte))))
    }

    /// Cuts a pair of pictures of equal size into patches with a side of `patch` pixels.
    ///
    /// # Panics
    /// When the sizes differ or are no whole patches: [`super::SizeRule`] makes them so.
    pub fn unit(&self, pair: [&Picture; 2], patch: u32) -> VisualUnit {
        let [first, second] = pair;
        assert_eq!((first.height(), first.width()), (second.height(), second.width()), "a unit of two sizes");
        assert!(first.height().is_multiple_of(patch) && first.width().is_multiple_of(patch), "no whole patches");
        let grid = Grid { rows: first.height() / patch, columns: first.width() / patch };
        let (side, width) = (patch as usize, first.width() as usize);
        let mut rows = Vec::with_capacity(grid.count() * 6 * side * side);
        for (top, left) in (0..grid.rows as usize).flat_map(|r| (0..grid.columns as usize).map(move |c| (r * side, c * side))) {
            for (channel, table) in self.0.iter().enumerate() {
                for picture in pair {
                    for y in top..top + side {
                        let line = &picture.rgb()[3 * (y * width + left)..3 * (y * width + left + side)];
                        rows.extend(line.iter().skip(channel).step_by(3).map(|byte| table[usize::from(*byte)]));
                    }
                }
            }
        }
        VisualUnit { grid, rows }
    }
}
