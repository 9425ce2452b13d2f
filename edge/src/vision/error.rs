//! What can be wrong with a picture, a list of pictures, or a video clip.

use std::path::PathBuf;

/// A picture or a video item that cannot be encoded. Nothing else is affected; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be opened or read.
    #[error("{}: cannot be read: {source}. Check the path and its permissions.", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The bytes are no picture of a known format, or a damaged one.
    #[error("{name}: not a usable picture: {found}. Expected a whole JPEG, PNG, WebP, BMP or GIF file; save the picture again.")]
    Damaged {
        /// File name, or where the bytes came from.
        name: String,
        /// What is wrong.
        found: String,
    },
    /// More pixels, or a longer side, than is accepted.
    #[error("{name}: {height}x{width} pixels (height x width), expected at most {limit}. Scale the picture down first.")]
    TooLarge {
        /// File name, or where the picture came from.
        name: String,
        /// Height in pixels.
        height: u64,
        /// Width in pixels.
        width: u64,
        /// The limit that was exceeded.
        limit: String,
    },
    /// A side is zero, or the buffer does not hold height x width RGB pixels.
    #[error(
        "{name}: {height}x{width} pixels (height x width) in {bytes} bytes, expected at least one pixel and three bytes for \
         each. Drop this picture."
    )]
    BadBuffer {
        /// Where the picture came from.
        name: String,
        /// Height in pixels.
        height: u32,
        /// Width in pixels.
        width: u32,
        /// Length of the buffer.
        bytes: usize,
    },
    /// The size rule leaves no pixel: its limits and factor do not fit each other.
    #[error(
        "a {height}x{width} picture (height x width) becomes {found_height}x{found_width} in steps of {factor} pixels within \
         {min_pixels} to {max_pixels} pixels, expected at least one row and two columns of patches. Raise `max_tokens` or \
         correct `resize_factor` in vision/config.json."
    )]
    NoSize {
        /// Height in pixels.
        height: u64,
        /// Width in pixels.
        width: u64,
        /// Height that the rule gives.
        found_height: u64,
        /// Width that the rule gives.
        found_width: u64,
        /// Size granularity in pixels.
        factor: u64,
        /// Lower limit in pixels.
        min_pixels: u64,
        /// Upper limit in pixels.
        max_pixels: u64,
    },
    /// A video item with a number of pictures that cannot be paired.
    #[error("a video item has {found} pictures, expected one or an even number. Repeat the last picture.")]
    NotPaired {
        /// How many.
        found: usize,
    },
    /// Two pictures of one unit differ in size.
    #[error(
        "pictures {first} and {second} of a video item become {first_size:?} and {second_size:?} pixels, expected one size for a pair. \
         Scale the pictures of a video to one size first."
    )]
    PairDiffers {
        /// Index of the first.
        first: usize,
        /// Index of the second.
        second: usize,
        /// `[height, width]` of the first after the size rule.
        first_size: [u32; 2],
        /// `[height, width]` of the second after the size rule.
        second_size: [u32; 2],
    },
    /// Pooling would leave a unit without tokens.
    #[error(
        "a unit of {rows}x{columns} tokens has none left under a compression ratio of {ratio}. Send fewer pictures, or raise \
         `max_tokens_video` in vision/config.json."
    )]
    PooledAway {
        /// Token rows.
        rows: u32,
        /// Token columns.
        columns: u32,
        /// Compression ratio.
        ratio: f64,
    },
    /// The clip cannot be sampled.
    #[error("video of {frames} frames at {fps} fps: {problem}")]
    Clip {
        /// Frames that the decoder reports.
        frames: u64,
        /// Frames a second that the decoder reports.
        fps: f64,
        /// What is wrong, what was expected, what to do.
        problem: String,
    },
}
