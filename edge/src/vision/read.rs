//! Picture files and bytes into RGB, by the conversions of the published loader.
//!
//! EXIF orientation is not applied and a colour profile is ignored, because the published loader does neither: a model
//! sees what it saw in training. Of an animation the first picture is taken. The bytes equal those of the published
//! loader in every format but JPEG, where the decoders interpolate colour differently: by at most 4 levels on smooth
//! pictures, 0.4 on average.
//!
//! Source: `Image.open(..).convert("RGB")` of Pillow 10.2; 16-bit grey is clipped there and 16-bit colour keeps its high
//! byte, which the tests pin.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::composite::composite_over_white;
use super::picture::check_size;
use super::{PICTURE_PIXELS_MAX, PICTURE_SIDE_MAX, Picture, PictureError};

/// Largest file that is read: an uncompressed 16-bit RGBA picture of [`PICTURE_PIXELS_MAX`] pixels.
pub const PICTURE_FILE_BYTES_MAX: u64 = 8 * PICTURE_PIXELS_MAX;

/// What becomes of transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpha {
    /// Dropped, as the published file loader does.
    Drop,
    /// Composited over white, as the published transform does when it is called directly.
    OverWhite,
}

/// Reads a picture file.
///
/// # Errors
/// [`PictureError::Io`], [`PictureError::Damaged`] or [`PictureError::TooLarge`].
pub fn read_picture(file: &Path, alpha: Alpha) -> Result<Picture, PictureError> {
    let io = |source| PictureError::Io { file: file.to_path_buf(), source };
    let bytes = std::fs::metadata(file).map_err(io)?.len();
    if bytes > PICTURE_FILE_BYTES_MAX {
        return Err(damaged(&file.display().to_string(), format!("the file has {bytes} bytes, at most {PICTURE_FILE_BYTES_MAX} are read")));
    }
    decode_picture(&std::fs::read(file).map_err(io)?, &file.display().to_string(), alpha)
}

/// Decodes the bytes of a picture file; the format is told from the bytes. `name` is where they came from, for errors.
///
/// # Errors
/// [`PictureError::Damaged`] or [`PictureError::TooLarge`].
pub fn decode_picture(bytes: &[u8], name: &str, alpha: Alpha) -> Result<Picture, PictureError> {
    let refuse = |e: image::ImageError| damaged(name, e.to_string());
    if bytes.starts_with(&[0xff, SOI]) && !jpeg_ends(bytes) {
        return Err(damaged(name, format!("the JPEG data stops after {} bytes without an end mark", bytes.len())));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| damaged(name, e.to_string()))?;
    // The sizes are checked here, with a better message; the decoder gets room for any picture that passes.
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * PICTURE_FILE_BYTES_MAX);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(refuse)?;
    let (width, height) = decoder.dimensions();
    check_size(name, height.into(), width.into())?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    let rgb = match alpha {
        Alpha::OverWhite if decoded.color().has_alpha() => composite_over_white(&to_rgba(decoded)),
        _ => to_rgb(decoded),
    };
    debug_assert!(width <= PICTURE_SIDE_MAX);
    Picture::new(name, height, width, rgb)
}

/// Start of a JPEG.
const SOI: u8 = 0xd8;
/// End of a JPEG.
const EOI: u8 = 0xd9;
/// Marks inside a JPEG's compressed data: a stuffed zero, and restarts.
const INSIDE: [u8; 9] = [0, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7];

/// Whether the marks of a JPEG lead to its end. The decoder fills what a cut file lacks with grey instead of refusing it,
/// and the published loader refuses it.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(mark) = bytes.get(at..at + 2) {
        match *mark {
            [0xff, EOI] => return true,
            [0xff, 0xff] | [0..=0xfe, _] => at += 1,
            [0xff, code] if INSIDE.contains(&code) => at += 2,
            // A segment: skipped by its length, so that a thumbnail's end is not taken for the end.
            _ => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
        }
    }
    false
}

/// Plain mode conversion to RGB.
fn to_rgb(decoded: DynamicImage) -> Vec<u8> {
    match decoded {
        DynamicImage::ImageRgb8(p) => p.into_raw(),
        DynamicImage::ImageLuma8(p) => p.into_raw().into_iter().flat_map(|v| [v; 3]).collect(),
        DynamicImage::ImageLuma16(p) => p.into_raw().into_iter().flat_map(|v| [v.min(255) as u8; 3]).collect(),
        other => to_rgba(other).as_chunks().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect(),
    }
}

fn to_rgba(decoded: DynamicImage) -> Vec<u8> {
    let high = |v: &u16| (v >> 8) as u8;
    match decoded {
        DynamicImage::ImageRgb16(p) => p.as_raw().as_chunks().0.iter().flat_map(|[r, g, b]| [high(r), high(g), high(b), 255]).collect(),
        DynamicImage::ImageRgba16(p) => p.as_raw().iter().map(high).collect(),
        DynamicImage::ImageLumaA16(p) => p.as_raw().as_chunks().0.iter().flat_map(|[v, a]| [high(v), high(v), high(v), high(a)]).collect(),
        other => other.into_rgba8().into_raw(),
    }
}

fn damaged(name: &str, found: String) -> PictureError {
    PictureError::Damaged { name: name.to_string(), found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// Levels that tell clipping, rounding and taking the high byte apart.
    const LEVELS: [u16; 9] = [0, 100, 255, 256, 300, 0x7fff, 0x8000, 0xff80, 0xffff];
    const CLIPPED: [u8; 9] = [0, 100, 255, 255, 255, 255, 255, 255, 255];
    const HIGH: [u8; 9] = [0, 0, 0, 1, 1, 127, 128, 255, 255];

    fn red(bytes: &[u8]) -> Vec<u8> {
        decode_picture(bytes, "test", Alpha::Drop).unwrap().rgb().iter().step_by(3).copied().collect()
    }

    /// The expected values are those of Pillow 10.2 for the same files.
    #[test]
    fn sixteen_bit_pictures_convert_as_in_the_published_loader() {
        let width = LEVELS.len() as u32;
        let grey: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_fn(width, 1, |x, _| Luma([LEVELS[x as usize]]));
        assert_eq!(red(&png(grey)), CLIPPED);
        let grey_alpha: ImageBuffer<LumaA<u16>, _> = ImageBuffer::from_fn(width, 1, |x, _| LumaA([LEVELS[x as usize], 7]));
        assert_eq!(red(&png(grey_alpha)), HIGH);
        let colour: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_fn(width, 1, |x, _| Rgb([LEVELS[x as usize], 1, 2]));
        assert_eq!(red(&png(colour)), HIGH);
        let colour_alpha: ImageBuffer<Rgba<u16>, _> = ImageBuffer::from_fn(width, 1, |x, _| Rgba([LEVELS[x as usize], 1, 2, 3]));
        assert_eq!(red(&png(colour_alpha)), HIGH);
    }

    #[test]
    fn alpha_is_dropped_or_composited() {
        let image: ImageBuffer<Rgba<u8>, _> =
            ImageBuffer::from_fn(2, 1, |x, _| if x == 0 { Rgba([10, 20, 30, 0]) } else { Rgba([10, 20, 30, 255]) });
        let bytes = png(image);
        assert_eq!(decode_picture(&bytes, "test", Alpha::Drop).unwrap().rgb(), [10, 20, 30, 10, 20, 30]);
        assert_eq!(decode_picture(&bytes, "test", Alpha::OverWhite).unwrap().rgb(), [255, 255, 255, 10, 20, 30]);
    }
}
