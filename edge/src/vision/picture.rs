//! A decoded picture: RGB bytes with their height and width.

use super::PictureError;

/// Longest side that is accepted: what a JPEG can have, so that nothing a camera writes is refused.
pub const PICTURE_SIDE_MAX: u32 = 65_535;

/// Most pixels that are accepted, 268 MB of RGB: where the published loader begins to warn of a decompression bomb.
pub const PICTURE_PIXELS_MAX: u64 = 89_478_485;

/// One picture in RGB.
///
/// # Shapes
/// rgb: `[height, width, 3]` bytes
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    height: u32,
    width: u32,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from its bytes; `name` is where it came from, for errors.
    ///
    /// # Errors
    /// [`PictureError::BadBuffer`] or [`PictureError::TooLarge`].
    pub fn new(name: &str, height: u32, width: u32, rgb: Vec<u8>) -> Result<Self, PictureError> {
        check_size(name, height.into(), width.into())?;
        let pixels = height as usize * width as usize;
        if pixels == 0 || rgb.len() != 3 * pixels {
            return Err(PictureError::BadBuffer { name: name.to_string(), height, width, bytes: rgb.len() });
        }
        Ok(Self { height, width, rgb })
    }

    /// Pixels from top to bottom, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels from left to right, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// `[height, width, 3]`, row-major.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// A picture whose sizes are known to fit.
    pub(super) fn from_parts(height: u32, width: u32, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len(), 3 * height as usize * width as usize, "a picture of {height}x{width}");
        Self { height, width, rgb }
    }
}

/// Refuses sizes above [`PICTURE_SIDE_MAX`] and [`PICTURE_PIXELS_MAX`], before anything of that size is allocated.
///
/// # Errors
/// [`PictureError::TooLarge`].
pub(super) fn check_size(name: &str, height: u64, width: u64) -> Result<(), PictureError> {
    let refuse = |limit: String| Err(PictureError::TooLarge { name: name.to_string(), height, width, limit });
    if height.max(width) > u64::from(PICTURE_SIDE_MAX) {
        return refuse(format!("{PICTURE_SIDE_MAX} pixels a side"));
    }
    if height * width > PICTURE_PIXELS_MAX {
        return refuse(format!("{PICTURE_PIXELS_MAX} pixels"));
    }
    Ok(())
}
