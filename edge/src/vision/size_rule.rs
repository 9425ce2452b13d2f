//! Which height and width a picture is resized to: whole patches, an even number of columns, an area within limits.
//!
//! The order of the floating-point operations is that of the published code; a different one gives other sizes.

use super::PictureError;

/// Lower and upper limit of an area in pixels. Where they contradict each other, the upper one holds for pictures above it
/// and the lower one for pictures below both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelLimits {
    /// Smallest area in pixels.
    pub min: u64,
    /// Largest area in pixels.
    pub max: u64,
}

/// The size rule of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRule {
    /// Side of a patch in pixels, at least 1.
    pub patch: u32,
    /// Sides are rounded to multiples of this many pixels, at least 1.
    pub factor: u32,
}

impl SizeRule {
    /// The `[height, width]` that a picture of `height` x `width` is resized to: the height a multiple of the patch, the
    /// width of two patches.
    ///
    /// The area is at most `limits.max`, but for a picture that must grow to reach `limits.min`: each of its sides is
    /// rounded up to the next multiple of the factor.
    ///
    /// # Errors
    /// [`PictureError::NoSize`] when a side would be zero: the limits leave no room for the factor, or the picture has no pixel.
    ///
    /// # Source
    /// `smart_resize` of the published code (vision.md 1.3).
    pub fn target(&self, height: u32, width: u32, limits: PixelLimits) -> Result<[u32; 2], PictureError> {
        let refuse = |h: f64, w: f64| PictureError::NoSize {
            height: height.into(),
            width: width.into(),
            found_height: h as u64,
            found_width: w as u64,
            factor: self.factor.into(),
            min_pixels: limits.min,
            max_pixels: limits.max,
        };
        if height == 0 || width == 0 || limits.max == 0 {
            return Err(refuse(0.0, 0.0));
        }
        let factor = f64::from(self.factor);
        let (min, max) = (limits.min as f64, limits.max as f64);
        let (mut h, mut w) = (f64::from(height), f64::from(width));
        if h < factor {
            (h, w) = (factor, ((factor / h) * w).trunc() + 1.0);
        }
        if w < factor {
            (w, h) = (factor, ((factor / w) * h).trunc() + 1.0);
        }
        let mut to_h = (h / factor).round_ties_even() * factor;
        let mut to_w = (w / factor).round_ties_even() * factor;
        if to_h * to_w > max {
            let shrink = ((h * w) / max).sqrt();
            to_h = ((h / shrink) / factor).floor() * factor;
            to_w = ((w / shrink) / factor).floor() * factor;
        } else if to_h * to_w < min {
            let grow = (min / (h * w)).sqrt();
            to_h = ((h * grow) / factor).ceil() * factor;
            to_w = ((w * grow) / factor).ceil() * factor;
        }
        if to_h < factor {
            (to_h, to_w) = (factor, (max / factor).floor());
        }
        if to_w < factor {
            (to_h, to_w) = ((max / factor).floor(), factor);
        }
        let (patch, pair) = (f64::from(self.patch), 2.0 * f64::from(self.patch));
        (to_h, to_w) = ((to_h / patch).floor() * patch, (to_w / pair).floor() * pair);
        if to_h < patch || to_w < pair || to_h > f64::from(u32::MAX) || to_w > f64::from(u32::MAX) {
            return Err(refuse(to_h, to_w));
        }
        Ok([to_h as u32, to_w as u32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PixelLimits = PixelLimits { min: 576 * 196, max: 5832 * 196 };

    #[test]
    fn halves_round_to_even() {
        let rule = SizeRule { patch: 14, factor: 112 };
        assert_eq!(rule.target(280, 392, PixelLimits { min: 0, max: 1 << 30 }).unwrap(), [224, 448]);
    }

    #[test]
    fn a_strip_keeps_at_least_one_row() {
        let rule = SizeRule { patch: 14, factor: 28 };
        assert_eq!(rule.target(1, 10_000, LIMITS).unwrap()[0], 28);
        assert_eq!(rule.target(10_000, 1, LIMITS).unwrap()[1], 28);
    }

    #[test]
    fn a_side_that_becomes_zero_is_an_error_that_names_the_limits() {
        let rule = SizeRule { patch: 14, factor: 14 };
        let error = rule.target(1000, 14, PixelLimits { min: 0, max: 196 }).unwrap_err().to_string();
        assert!(error.contains("resize_factor") && error.contains("196"), "{error}");
        assert!(rule.target(0, 5, LIMITS).is_err());
    }
}
