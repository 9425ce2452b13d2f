//! Antialiased bicubic resize on bytes, equal to the published pipeline's to the last bit.
//!
//! Separable: horizontal pass first, always, then vertical, with bytes in between and 22-bit fixed-point weights. A pass
//! that changes nothing is skipped. Float resizers, and newer versions of the same library that choose the order of the
//! passes, give visibly different bytes.
//!
//! Source: Pillow 10.2.0 `Image.resize(.., BICUBIC)` (vision.md 1.5).

use super::Picture;

/// Fraction bits of a weight.
const WEIGHT_BITS: u32 = 22;
/// Half the width of the cubic kernel.
const SUPPORT: f64 = 2.0;
/// Keys' parameter: how far the kernel overshoots.
const KEYS: f64 = -0.5;

/// Resizes `picture` to `height` x `width`.
///
/// # Panics
/// When `height` or `width` is zero.
pub fn resize_bicubic(picture: &Picture, height: u32, width: u32) -> Picture {
    assert!(height > 0 && width > 0, "resize to {height}x{width}");
    let (in_height, in_width) = (picture.height() as usize, picture.width() as usize);
    let (out_height, out_width) = (height as usize, width as usize);
    let narrowed = if in_width == out_width { picture.rgb().to_vec() } else { horizontal(picture.rgb(), in_width, out_width) };
    let rgb = if in_height == out_height { narrowed } else { vertical(&narrowed, 3 * out_width, in_height, out_height) };
    Picture::from_parts(height, width, rgb)
}

/// The input positions that one output position is a weighted sum of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Taps of every output position along one axis.
fn taps(count_in: usize, count_out: usize) -> Vec<Taps> {
    let scale = count_in as f64 / count_out as f64;
    let stretch = scale.max(1.0);
    let (support, shrink) = (SUPPORT * stretch, 1.0 / stretch);
    let one = |out: usize| {
        let centre = (out as f64 + 0.5) * scale;
        // A float below zero becomes zero here, as it must.
        let first = (centre - support + 0.5) as usize;
        let last = ((centre + support + 0.5) as usize).min(count_in);
        let mut weights: Vec<f64> = (first..last).map(|j| cubic((j as f64 - centre + 0.5) * shrink)).collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        let unit = f64::from(1 << WEIGHT_BITS);
        let fixed = |w: f64| (w * unit + if w < 0.0 { -0.5 } else { 0.5 }) as i32;
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..count_out).map(one).collect()
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((KEYS + 2.0) * x - (KEYS + 3.0)) * x * x + 1.0
    } else if x < SUPPORT {
        (((x - 5.0) * x + 8.0) * x - 4.0) * KEYS
    } else {
        0.0
    }
}

/// Half of the last bit that is kept: a sum starts here so that the shift rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

fn horizontal(rgb: &[u8], width_in: usize, width_out: usize) -> Vec<u8> {
    let taps = taps(width_in, width_out);
    let mut out = Vec::with_capacity(rgb.len() / width_in * width_out);
    for row in rgb.chunks_exact(3 * width_in) {
        let pixels = row.as_chunks::<3>().0;
        for Taps { first, weights } in &taps {
            let mut sums = [HALF; 3];
            for (pixel, weight) in pixels[*first..].iter().zip(weights) {
                for (sum, byte) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*byte) * weight;
                }
            }
            out.extend(sums.map(to_byte));
        }
    }
    out
}

fn vertical(rgb: &[u8], row_bytes: usize, height_in: usize, height_out: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(row_bytes * height_out);
    let mut sums = vec![HALF; row_bytes];
    for Taps { first, weights } in taps(height_in, height_out) {
        sums.fill(HALF);
        for (row, weight) in rgb[first * row_bytes..].chunks_exact(row_bytes).zip(weights) {
            for (sum, byte) in sums.iter_mut().zip(row) {
                *sum += i32::from(*byte) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| to_byte(*sum)));
    }
    out
}
