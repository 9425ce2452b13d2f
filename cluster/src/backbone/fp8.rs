//! The 8-bit float e4m3fn, and matrices and rows stored in it with one scale per block.
//!
//! Four exponent bits with bias 7, three fraction bits, no infinities; 0x7F and 0xFF are NaN, the largest value is 448,
//! the smallest 2^-9. A stored scale is the multiplier that gives the value back, although its tensor is named
//! `weight_scale_inv`.

/// Largest finite value.
pub const LARGEST: f32 = 448.0;

/// Activation scales are at least this over [`LARGEST`], so that a row of zeros has one.
const ACTIVATION_AMAX_MIN: f32 = 1e-4;

/// Value of a code.
pub fn decode(code: u8) -> f32 {
    let (exponent, fraction) = (i32::from(code >> 3 & 0xF), f32::from(code & 7));
    let size = match (exponent, code & 7) {
        (15, 7) => f32::NAN,
        (0, _) => fraction * 2f32.powi(-9),
        _ => (8.0 + fraction) * 2f32.powi(exponent - 10),
    };
    if code & 0x80 == 0 { size } else { -size }
}

/// Code of the nearest value, ties to the even code; values beyond ±448 are clamped, NaN stays NaN.
pub fn encode(value: f32) -> u8 {
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    let size = value.abs();
    if size.is_nan() {
        return sign | 0x7F;
    }
    let size = size.min(LARGEST);
    let code = if size < 2f32.powi(-6) {
        // Subnormal, or rounded up to the smallest normal, whose code follows on.
        (size * 2f32.powi(9)).round_ties_even() as u32
    } else {
        let bits = size.to_bits();
        let rounded = (bits + 0x7_FFFF + (bits >> 20 & 1)) >> 20;
        rounded - ((127 - 7) << 3)
    };
    sign | code as u8
}

/// Number format of scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleFormat {
    /// Any f32.
    F32,
    /// Rounded up to a power of two (UE8M0), which some FP8 matrix units require.
    PowerOfTwo,
}

/// Codes and their scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// One per value.
    pub codes: Vec<u8>,
    /// One per block.
    pub scales: Vec<f32>,
}

/// Rounds rows of activations, each in groups of `block` columns; the last group may be shorter.
///
/// # Shapes
/// x: `[rows, width]` → codes `[rows, width]`, scales `[rows, ceil(width / block)]`
pub fn quantize_rows(x: &[f32], width: usize, block: usize, format: ScaleFormat) -> Quantized {
    let (mut codes, mut scales) = (Vec::with_capacity(x.len()), Vec::new());
    for group in x.chunks(width).flat_map(|row| row.chunks(block)) {
        let scale = group.iter().fold(ACTIVATION_AMAX_MIN, |m, v| m.max(v.abs())) / LARGEST;
        let scale = match format {
            ScaleFormat::F32 => scale,
            ScaleFormat::PowerOfTwo => power_of_two_above(scale),
        };
        codes.extend(group.iter().map(|v| encode(v / scale)));
        scales.push(scale);
    }
    Quantized { codes, scales }
}

/// Undoes [`quantize_rows`].
pub fn dequantize_rows(quantized: &Quantized, width: usize, block: usize) -> Vec<f32> {
    let groups = quantized.codes.chunks(width).flat_map(|row| row.chunks(block));
    groups.zip(&quantized.scales).flat_map(|(group, scale)| group.iter().map(move |code| decode(*code) * scale)).collect()
}

/// Rounds a matrix `[rows, width]` in blocks of `block` rows and columns; a block of zeros has the scale 1.
///
/// # Shapes
/// scales: `[ceil(rows / block[0]), ceil(width / block[1])]`
pub fn quantize_blocks(weight: &[f32], width: usize, block: [usize; 2]) -> Quantized {
    let columns = width.div_ceil(block[1]);
    let mut scales = vec![0f32; (weight.len() / width).div_ceil(block[0]) * columns];
    let scale_of = |index: usize| index / width / block[0] * columns + index % width / block[1];
    for (index, value) in weight.iter().enumerate() {
        let amax = &mut scales[scale_of(index)];
        *amax = amax.max(value.abs());
    }
    scales.iter_mut().for_each(|s| *s = if *s == 0.0 { 1.0 } else { *s / LARGEST });
    let codes = weight.iter().enumerate().map(|(index, value)| encode(value / scales[scale_of(index)])).collect();
    Quantized { codes, scales }
}

/// w[i, j] = code[i, j] scale[i / block, j / block]; the last blocks may be partial.
///
/// # Panics
/// When the lengths do not fit.
pub fn dequantize_blocks(codes: &[u8], scales: &[f32], width: usize, block: [usize; 2]) -> Vec<f32> {
    let columns = width.div_ceil(block[1]);
    assert_eq!(scales.len(), (codes.len() / width).div_ceil(block[0]) * columns, "fp8: scales");
    let table: [f32; 256] = std::array::from_fn(|code| decode(code as u8));
    let mut values = Vec::with_capacity(codes.len());
    for (row, codes) in codes.chunks(width).enumerate() {
        let scales = &scales[row / block[0] * columns..][..columns];
        for (codes, scale) in codes.chunks(block[1]).zip(scales) {
            values.extend(codes.iter().map(|code| table[usize::from(*code)] * scale));
        }
    }
    values
}

fn power_of_two_above(scale: f32) -> f32 {
    let bits = scale.to_bits();
    let up = if bits & 0x7F_FFFF == 0 { 0 } else { 1 << 23 };
    f32::from_bits((bits & !0x7F_FFFF) + up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_and_values_between_go_to_the_nearest() {
        for code in 0..=255u8 {
            if code & 0x7F != 0x7F {
                assert_eq!(encode(decode(code)), code);
            }
        }
        for code in 0..0x7Eu8 {
            let (low, high) = (decode(code), decode(code + 1));
            let middle = (low + high) / 2.0;
            assert_eq!(encode(middle), code + code % 2, "tie between {low} and {high}");
            assert_eq!((encode(middle.next_down()), encode(middle.next_up())), (code, code + 1));
        }
        assert_eq!((encode(1e9), encode(-449.0), encode(f32::INFINITY)), (0x7E, 0xFE, 0x7E));
        assert!(decode(encode(f32::NAN)).is_nan());
    }

    #[test]
    fn partial_blocks_take_the_scale_of_their_place() {
        let weight: Vec<f32> = (0..5 * 3).map(|i| i as f32).collect();
        let quantized = quantize_blocks(&weight, 3, [2, 2]);
        assert_eq!(quantized.scales, [4.0, 5.0, 10.0, 11.0, 13.0, 14.0].map(|amax| amax / LARGEST));
        for (value, back) in weight.iter().zip(dequantize_blocks(&quantized.codes, &quantized.scales, 3, [2, 2])) {
            assert!((value - back).abs() <= value / 16.0, "{value} {back}");
        }
    }

    #[test]
    fn a_remainder_group_is_as_if_padded_with_zeros() {
        let x = [3.0, -5.0, 0.5];
        let padded = [3.0, -5.0, 0.5, 0.0];
        let (short, long) = (quantize_rows(&x, 3, 2, ScaleFormat::F32), quantize_rows(&padded, 4, 2, ScaleFormat::F32));
        assert_eq!((short.scales, &short.codes[..]), (long.scales, &long.codes[..3]));
    }
}
